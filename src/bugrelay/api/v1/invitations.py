"""`/api/v1/invitations`: a tenant's open invitations, for its admins, and accepting one."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody

from bugrelay.api.role_names import names_with
from bugrelay.api.tenant import require_tenant_admin
from bugrelay.api.v1.responses.tenants import InvitationAcceptedResponse, InvitationList, InvitationOut
from bugrelay.domain.bugs.schemas import UserRef
from bugrelay.domain.companies.errors import InvitationNotFound
from bugrelay.domain.companies.repository import list_invitations, open_invitation
from bugrelay.domain.companies.schemas import AcceptInvitation, OpenInvitation, RoleName, Tenant
from bugrelay.domain.companies.service.invitations import accept_invitation, withdraw_invitation
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, tenant_users, users
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer


async def _require_invitation(request: ApiRequest) -> Tenant:
    """The caller's tenant, if they are its admin and it has the invitation in the path."""
    invitation_id = request.path_id("invitation_id")
    tenant = await require_tenant_admin(request)
    invitation = await open_invitation(request.platform.database, invitation_id)
    if invitation is None or invitation.company_id != tenant.company_id:
        raise InvitationNotFound
    return tenant


class InvitationController(Controller):
    path = "/api/v1/invitations"
    tags = ("Accounts",)

    @get("/")
    @Route(access=tenant_users("company admins"), loads=require_tenant_admin, query=PageQuery)
    async def list_invitations(
        self, request: ApiRequest, tenant: Tenant, query: PageQuery
    ) -> Response[InvitationList]:
        """List my company's invitations that can be accepted, the newest first."""
        found, total = await list_invitations(request.platform.database, tenant.company_id, query)
        shown = [shown_invitation(invitation, named=None) for invitation in found]
        return json_response(InvitationList(shown, Pagination.of(query, total)))

    @delete("/{invitation_id:str}", status_code=200)
    @Route(access=tenant_users("company admins"), loads=_require_invitation)
    async def withdraw_invitation(
        self, request: ApiRequest, invitation_id: UUID, tenant: Tenant
    ) -> Response[Message]:
        """Withdraw an invitation of my company, which makes its link invalid."""
        async with request.platform.work() as work:
            await withdraw_invitation(work, tenant, invitation_id=invitation_id)
        return json_response(Message("Invitation withdrawn"))

    @post("/accept", status_code=200)
    @Route(access=users(), limits=("sign_in",))
    async def accept_invitation(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[AcceptInvitation]
    ) -> Response[InvitationAcceptedResponse]:
        """Accept an invitation that was mailed to my verified address."""
        async with request.platform.work() as work:
            accepted = await accept_invitation(work, data.token, user_id=viewer.user_id)
        return json_response(
            InvitationAcceptedResponse(
                "Invitation accepted",
                accepted.company_id,
                accepted.domain,
                names_with(None)[accepted.role],
                accepted.role,
            )
        )


def shown_invitation(invitation: OpenInvitation, *, named: RoleName | None) -> InvitationOut:
    """The invitation, with the role's name of the API that the sent name belongs to."""
    return InvitationOut(
        id=invitation.id,
        email=invitation.email,
        role=names_with(named)[invitation.role],
        company_role=invitation.role,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        inviter=UserRef(invitation.inviter_id, invitation.inviter_username),
    )
