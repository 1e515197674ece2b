"""Report content to the moderators."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.domain.bugs.controllers.subjects import any_bug
from bugrelay.domain.moderation.controllers.subjects import shown_comment
from bugrelay.domain.moderation.schemas import FlagAnswer, ReportContent
from bugrelay.domain.moderation.service.flags import flag_bug, flag_comment
from bugrelay.http.access import users
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest


class FlagController(Controller):
    path = "/api/v1"
    tags = ("Moderation",)

    @post("/bugs/{bug_id:str}/flag", opt=users(any_bug).opt())
    async def report_bug(self, request: ApiRequest, data: JSONBody[ReportContent]) -> Response[FlagAnswer]:
        """Report a bug to the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flag_bug(
                work, request.path_id("bug_id"), user_id=request.user_id, reason=data.reason, note=data.note
            )
        return answer(FlagAnswer("Reported to the moderators", flag_id, data.reason), status=201)

    @post("/comments/{comment_id:str}/flag", opt=users(shown_comment).opt())
    async def report_comment(
        self, request: ApiRequest, data: JSONBody[ReportContent]
    ) -> Response[FlagAnswer]:
        """Report a comment to the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flag_comment(
                work,
                request.path_id("comment_id"),
                user_id=request.user_id,
                reason=data.reason,
                note=data.note,
            )
        return answer(FlagAnswer("Reported to the moderators", flag_id, data.reason), status=201)
