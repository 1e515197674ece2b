"""`/unsubscribe/{token}`: the unsubscribe links of mails, for users and for their mail clients (RFC 8058).

A GET only shows a button, since mail scanners follow every link. A POST unsubscribes, whatever its body and without a
credential: mail clients send none. It has no rate limit of its own, since many of them send from a few addresses.
"""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, get, post

from bugrelay.domain.notifications.service import unsubscribe_links
from bugrelay.errors import BugRelayError
from bugrelay.http.pages import page
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone


class UnsubscribePageController(Controller):
    path = "/unsubscribe/{token:str}"
    include_in_schema = False

    @get("/")
    @Route(access=anyone())
    async def get_unsubscribe_page(self, request: ApiRequest, token: str) -> Response[Any]:
        try:
            link = unsubscribe_links.read_unsubscribe_token(request.platform.settings.signing_key, token)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        title = await unsubscribe_links.title_of_link(request.platform.database, link)
        return page(
            request,
            "unsubscribe",
            all_mails=link.user_id is not None and link.bug_id is None and link.ticket is None,
            all_reports=link.address_key is not None,
            bug_title=title,
            thing="ticket" if link.ticket is not None else "bug",
        )

    @post("/", status_code=200)
    @Route(access=anyone())
    async def unsubscribe(self, request: ApiRequest, token: str) -> Response[Any]:
        try:
            link = unsubscribe_links.read_unsubscribe_token(request.platform.settings.signing_key, token)
            async with request.platform.work() as work:
                await unsubscribe_links.use_unsubscribe_link(work, link)
        except BugRelayError as error:
            return page(request, "problem", error=error, message=error.message)
        return page(request, "done", message="You will get no more of these mails.")
