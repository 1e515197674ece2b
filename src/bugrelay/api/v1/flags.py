"""Report content to the moderators."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.bugs import require_visible_bug
from bugrelay.api.v1.guards.moderation import load_visible_comment
from bugrelay.domain.moderation.schemas import FlagResponse, ReportContent
from bugrelay.domain.moderation.service.flags import flag_bug, flag_comment
from bugrelay.http.guard import users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class FlagController(Controller):
    path = "/api/v1"
    tags = ("Moderation",)

    @post("/bugs/{bug_id:str}/flag", opt=users(require_visible_bug).opt())
    async def report_bug(self, request: ApiRequest, data: JSONBody[ReportContent]) -> Response[FlagResponse]:
        """Report a bug to the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flag_bug(
                work, request.path_id("bug_id"), user_id=request.user_id, reason=data.reason, note=data.note
            )
        return json_response(FlagResponse("Reported to the moderators", flag_id, data.reason), status=201)

    @post("/comments/{comment_id:str}/flag", opt=users(load_visible_comment).opt())
    async def report_comment(
        self, request: ApiRequest, data: JSONBody[ReportContent]
    ) -> Response[FlagResponse]:
        """Report a comment to the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flag_comment(
                work,
                request.path_id("comment_id"),
                user_id=request.user_id,
                reason=data.reason,
                note=data.note,
            )
        return json_response(FlagResponse("Reported to the moderators", flag_id, data.reason), status=201)
