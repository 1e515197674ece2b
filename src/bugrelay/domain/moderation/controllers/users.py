"""`/api/v1/admin/users`: bans."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.domain.moderation.controllers.subjects import some_user, user_to_ban
from bugrelay.domain.moderation.schemas import Ban, BanAct, Reason, UserAct
from bugrelay.domain.moderation.service.bans import ban_user, unban_user
from bugrelay.http.access import admins
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest


class UserModerationController(Controller):
    path = "/api/v1/admin/users/{user_id:str}"
    tags = ("Moderation",)

    @post("/ban", opt=admins(user_to_ban).opt(), status_code=200)
    async def ban(self, request: ApiRequest, data: JSONBody[Ban]) -> Response[BanAct]:
        """Ban a user, for good or until a time: sessions end, votes count no more."""
        user_id = request.path_id("user_id")
        async with request.platform.work() as work:
            await ban_user(work, request.user_id, user_id, reason=data.reason, until=data.until)
        return answer(BanAct("User banned successfully", user_id, data.reason, data.until))

    @post("/unban", opt=admins(some_user).opt(), status_code=200)
    async def unban(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[UserAct]:
        """Lift a ban; the user's votes count again."""
        user_id = request.path_id("user_id")
        async with request.platform.work() as work:
            await unban_user(work, request.user_id, user_id, reason=data.reason)
        return answer(UserAct("User unbanned successfully", user_id, data.reason))
