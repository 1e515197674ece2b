"""`/api/v1/admin/users`: bans."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import require_may_ban, require_user
from bugrelay.api.v1.responses.moderation import BanAct, UserAct
from bugrelay.domain.moderation.schemas import Ban, Reason
from bugrelay.domain.moderation.service import bans
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, admins
from bugrelay.infra.viewer import SignedInViewer


class UserModerationController(Controller):
    path = "/api/v1/admin/users/{user_id:str}"
    tags = ("Moderation",)

    @post("/ban", status_code=200)
    @Route(access=admins(), loads=require_may_ban)
    async def ban_user(
        self, request: ApiRequest, viewer: SignedInViewer, user_id: UUID, data: JSONBody[Ban]
    ) -> Response[BanAct]:
        """Ban a user, permanently or until a time: sessions end, and votes do not count any more."""
        async with request.platform.work() as work:
            await bans.ban_user(work, viewer.user_id, user_id, reason=data.reason, until=data.until)
        return json_response(BanAct("User banned successfully", user_id, data.reason, data.until))

    @post("/unban", status_code=200)
    @Route(access=admins(), loads=require_user)
    async def unban_user(
        self, request: ApiRequest, viewer: SignedInViewer, user_id: UUID, data: JSONBody[Reason]
    ) -> Response[UserAct]:
        """Lift a ban; the user's votes count again."""
        async with request.platform.work() as work:
            await bans.unban_user(work, viewer.user_id, user_id, reason=data.reason)
        return json_response(UserAct("User unbanned successfully", user_id, data.reason))
