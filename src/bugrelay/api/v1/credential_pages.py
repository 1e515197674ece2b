"""The small pages behind mailed links: plain HTML, no script."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from bugrelay.api.v1.credentials import set_password_by_link
from bugrelay.domain.accounts.schemas import ConfirmReset, LinkQuery
from bugrelay.domain.accounts.service import links
from bugrelay.errors import BugRelayError, InvalidLinkToken
from bugrelay.http.pages import page
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.validation import read_fields


class AccountPageController(Controller):
    path = "/account"
    include_in_schema = False

    @post("/verify-email", status_code=200)
    @Route(access=anyone(), limits=("sign_in",))
    async def verify_email(self, request: ApiRequest) -> Response[Any]:
        try:
            token = read_fields(await request.read_form(), LinkQuery).token
            async with request.platform.work() as work:
                await links.verify_email(work, token)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        return page(request, "done", message="Your e-mail address is verified.")

    @get("/reset-password")
    @Route(access=anyone())
    async def get_reset_page(self, request: ApiRequest) -> Response[Any]:
        try:
            token = request.read_query(LinkQuery).token
        except BugRelayError as error:
            return page(request, "problem", error=error, message=InvalidLinkToken.message)
        return page(request, "reset_password", token=token, problem=None)

    @post("/reset-password", status_code=200)
    @Route(access=anyone(), limits=("sign_in",))
    async def reset_password(self, request: ApiRequest) -> Response[Any]:
        form = await request.read_form()
        try:
            await set_password_by_link(request, read_fields(form, ConfirmReset))
        except BugRelayError as error:
            return page(
                request, "reset_password", error=error, token=form.get("token", ""), problem=error.message
            )
        return page(request, "done", message="Your password is changed. Sign in with the new one.")
