"""The page at the link of an invitation."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from bugrelay.domain.companies.schemas import AcceptInvitation
from bugrelay.domain.companies.service.invitations import accept_by_link, read_invitation
from bugrelay.errors import BugRelayError
from bugrelay.http.pages import page
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.validation import read_fields


class InvitationPageController(Controller):
    path = "/invitations/accept"
    include_in_schema = False

    @get("/")
    @Route(access=anyone(same_for_all=True), limits=("sign_in",))
    async def get_invitation_page(self, request: ApiRequest) -> Response[Any]:
        """A page with a button, so that programs which fetch every link in a mail do not accept the invitation."""
        try:
            token = request.read_query(AcceptInvitation).token
            invitation = await read_invitation(request.platform.database, token)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        return page(
            request,
            "accept_invitation",
            token=token,
            domain=invitation.domain,
            inviter=invitation.inviter_username,
            email=invitation.email,
            role=invitation.role,
        )

    @post("/", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",))
    async def accept_by_link(self, request: ApiRequest) -> Response[Any]:
        try:
            token = read_fields(await request.read_form(), AcceptInvitation).token
            async with request.platform.work() as work:
                accepted = await accept_by_link(work, token)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        return page(
            request, "done", message=f"The account {accepted.email} belongs to {accepted.domain} now."
        )
