"""`/api/v1/admin/users`: bans."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import load_user, load_user_to_ban
from bugrelay.domain.moderation.schemas import Ban, BanAct, Reason, UserAct
from bugrelay.domain.moderation.service.bans import ban_user, unban_user
from bugrelay.http.guard import admins
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class UserModerationController(Controller):
    path = "/api/v1/admin/users/{user_id:str}"
    tags = ("Moderation",)

    @post("/ban", opt=admins(load_user_to_ban).opt(), status_code=200)
    async def ban(self, request: ApiRequest, data: JSONBody[Ban]) -> Response[BanAct]:
        """Ban a user, for good or until a time: sessions end, votes count no more."""
        user_id = request.path_id("user_id")
        async with request.platform.work() as work:
            await ban_user(work, request.user_id, user_id, reason=data.reason, until=data.until)
        return json_response(BanAct("User banned successfully", user_id, data.reason, data.until))

    @post("/unban", opt=admins(load_user).opt(), status_code=200)
    async def unban(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[UserAct]:
        """Lift a ban; the user's votes count again."""
        user_id = request.path_id("user_id")
        async with request.platform.work() as work:
            await unban_user(work, request.user_id, user_id, reason=data.reason)
        return json_response(UserAct("User unbanned successfully", user_id, data.reason))
