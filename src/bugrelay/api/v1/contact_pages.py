"""`/contact/confirm`: the page that confirms the address of an anonymous report."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from bugrelay.domain.accounts.schemas import LinkQuery
from bugrelay.domain.notifications.service import contacts
from bugrelay.errors import BugRelayError, InvalidLinkToken
from bugrelay.http.pages import page
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.validation import read_fields


class ContactPageController(Controller):
    path = "/contact"
    include_in_schema = False

    @get("/confirm")
    @Route(access=anyone(same_for_all=True), limits=("sign_in",))
    async def get_confirm_page(self, request: ApiRequest) -> Response[Any]:
        """Show a button, so that programs which fetch every link of a mail confirm nothing."""
        try:
            token = request.read_query(LinkQuery).token
        except BugRelayError as error:
            return page(request, "problem", error=error, message=InvalidLinkToken.message)
        return page(request, "confirm_contact", token=token)

    @post("/confirm", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",))
    async def confirm_contact(self, request: ApiRequest) -> Response[Any]:
        try:
            token = read_fields(await request.read_form(), LinkQuery).token
            async with request.platform.work() as work:
                await contacts.confirm_contact(work, token)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        return page(request, "done", message="You will get mails about the bug.")
