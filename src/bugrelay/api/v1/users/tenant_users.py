"""`/api/v1/users`: public profiles of users, and a tenant's users, for its admins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, post, put
from litestar.params import JSONBody
from msgspec import UNSET
from msgspec.structs import asdict

from bugrelay.api.role_names import names_with, role_named
from bugrelay.api.tenant import load_tenant, require_tenant, require_tenant_admin
from bugrelay.api.v1.invitations import shown_invitation
from bugrelay.api.v1.responses.accounts import UserProfileChangedResponse, UserProfileResponse
from bugrelay.api.v1.responses.tenants import TenantUserList, TenantUserOut, UserAddedResponse
from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.schemas import ProfileChange
from bugrelay.domain.accounts.service import change_profile
from bugrelay.domain.companies import policies
from bugrelay.domain.companies.errors import InvitationNotFound
from bugrelay.domain.companies.repository import find_tenant_user, list_tenant_users, open_invitation
from bugrelay.domain.companies.schemas import (
    AddTenantUser,
    ChangeTenantUser,
    RoleName,
    Tenant,
    TenantUser,
    TenantUserQuery,
)
from bugrelay.domain.companies.service.tenant_users import (
    AddedUser,
    Outgoing,
    SentInvitation,
    add_tenant_user,
    change_tenant_user,
    remove_tenant_user,
)
from bugrelay.domain.profiles import repository as profiles
from bugrelay.domain.profiles.schemas import UserProfile
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone, tenant_users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.pagination import Pagination
from bugrelay.infra.viewer import SignedInViewer


async def _load_changing(request: ApiRequest) -> Tenant | None:
    """For the caller's own profile, their tenant if there is only one or it is named; for others, the tenant that the
    caller is an admin of.

    Raises:
        ValidationFailed, CompanyRequired, CompanyNotFound, InsufficientPermissions, UserNotFound
    """
    user_id = request.path_id("user_id")
    if user_id == request.user_id:
        return await load_tenant(request)
    tenant = await require_tenant_admin(request)
    await _require_tenant_user(request, tenant, user_id)
    return tenant


async def _require_removable(request: ApiRequest) -> Tenant:
    """The caller's tenant: admins may remove anybody, others themselves."""
    user_id = request.path_id("user_id")
    if user_id == request.user_id:
        return await require_tenant(request)
    tenant = await require_tenant_admin(request)
    await _require_tenant_user(request, tenant, user_id)
    return tenant


async def _require_tenant_user(request: ApiRequest, tenant: Tenant, user_id: UUID) -> None:
    database = request.platform.database
    if await find_tenant_user(database, company_id=tenant.company_id, user_id=user_id) is None:
        raise UserNotFound


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("Accounts",)

    @get("/")
    @Route(access=tenant_users("company admins"), loads=require_tenant_admin, query=TenantUserQuery)
    async def list_users(
        self, request: ApiRequest, tenant: Tenant, query: TenantUserQuery
    ) -> Response[TenantUserList]:
        """List the users of my company, the longest-standing first: admins, members and reporters."""
        found, total = await list_tenant_users(
            request.platform.database,
            tenant.company_id,
            query,
            role=None if query.role is None else role_named(query.role),
            is_active=query.is_active,
            search=query.search,
        )
        shown = [_shown(user, named=query.role) for user in found]
        return json_response(TenantUserList(shown, Pagination.of(query, total)))

    @post("/")
    @Route(
        access=tenant_users("company admins"),
        loads=require_tenant_admin,
        limits=("mail",),
        also=(202,),
    )
    async def add_user(
        self, request: ApiRequest, tenant: Tenant, data: JSONBody[AddTenantUser]
    ) -> Response[UserAddedResponse]:
        """Add the account at an address of my company's domain; any other address is invited by mail (202).

        Who is invited belongs to the company once they accept. Members and admins must have an address at exactly the
        company's domain, reporters may have any.
        """
        platform = request.platform
        outgoing = Outgoing(
            platform.settings.signing_key, platform.jobs, platform.limiter, platform.mail_limits
        )
        async with platform.work() as work:
            added = await add_tenant_user(
                work, tenant, email=data.email, role=role_named(data.role), outgoing=outgoing
            )
            response = await _added(work, tenant, added, named=data.role)
        return json_response(response, status=201 if response.user else 202)

    @get("/{user_id:str}")
    @Route(access=anyone(tenant=True), loads=load_tenant)
    async def get_user(
        self, request: ApiRequest, user_id: UUID, tenant: Tenant | None
    ) -> Response[UserProfileResponse]:
        """Show a user's public profile.

        Members of a tenant that the user belongs to also see address and role.
        """
        return json_response(UserProfileResponse(await _profile(request.platform.database, user_id, tenant)))

    @put("/{user_id:str}")
    @Route(access=tenant_users("oneself, company admins"), loads=_load_changing)
    async def update_user(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        user_id: UUID,
        tenant: Tenant | None,
        data: JSONBody[ChangeTenantUser],
    ) -> Response[UserProfileChangedResponse]:
        """Change my name and picture, or as an admin a user's role and whether they have rights.

        What is absent stays as it is. Who is not active has no rights from the next request on. A company keeps an
        active admin.
        """
        changes_place = data.role is not None or data.is_active is not None
        if changes_place and tenant is None:
            tenant = await require_tenant(request)
        async with request.platform.work() as work:
            if tenant is not None and changes_place:
                role = None if data.role is None else role_named(data.role)
                await change_tenant_user(work, tenant, user_id=user_id, role=role, is_active=data.is_active)
            if data.name is not UNSET or data.avatar_url is not UNSET:
                if user_id != viewer.user_id:
                    raise InsufficientPermissions("Only they themself may change their name and picture")
                change = ProfileChange(display_name=data.name, avatar_url=data.avatar_url)
                await change_profile(work, viewer.user_id, change)
            profile = await _profile(work, user_id, tenant, named=data.role)
        return json_response(UserProfileChangedResponse("User updated successfully", profile))

    @delete("/{user_id:str}", status_code=200)
    @Route(access=tenant_users("company admins, oneself"), loads=_require_removable)
    async def remove_user(self, request: ApiRequest, user_id: UUID, tenant: Tenant) -> Response[Message]:
        """Remove a user from my company, as an admin, or leave it; the account stays."""
        async with request.platform.work() as work:
            await remove_tenant_user(work, tenant, user_id=user_id)
        return json_response(Message("User removed successfully"))


async def _added(
    reader: Reader, tenant: Tenant, added: AddedUser | SentInvitation, *, named: RoleName
) -> UserAddedResponse:
    if isinstance(added, SentInvitation):
        invitation = await open_invitation(reader, added.id)
        if invitation is None:
            raise InvitationNotFound
        shown = shown_invitation(invitation, named=named)
        return UserAddedResponse("Invitation sent", None, shown)
    user = await find_tenant_user(reader, company_id=tenant.company_id, user_id=added.id)
    if user is None:
        raise UserNotFound
    return UserAddedResponse("User added successfully", _shown(user, named=named), None)


async def _profile(
    reader: Reader, user_id: UUID, tenant: Tenant | None, *, named: RoleName | None = None
) -> UserProfile:
    public = await profiles.public_profile(reader, user_id)
    if public is None:
        raise UserNotFound
    more: dict[str, Any] = {}
    if tenant is not None and (policies.is_on_team(tenant.role) or user_id == tenant.user_id):
        user = await find_tenant_user(reader, company_id=tenant.company_id, user_id=user_id)
        more = {} if user is None else asdict(_shown(user, named=named))
    return UserProfile(**asdict(public) | more)


def _shown(user: TenantUser, *, named: RoleName | None) -> TenantUserOut:
    """The user, with the role's name of the API that the sent name belongs to."""
    role = names_with(named)[user.role]
    return TenantUserOut(**asdict(user) | {"role": role, "company_role": user.role})
