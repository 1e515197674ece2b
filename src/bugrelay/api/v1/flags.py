"""Flags, by which users report content to the moderators."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.bugs import load_visible_bug, load_visible_comment
from bugrelay.api.v1.responses.moderation import FlagResponse
from bugrelay.domain.bugs.schemas import BugState, CommentState
from bugrelay.domain.moderation.schemas import ReportContent
from bugrelay.domain.moderation.service import flags
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer


class FlagController(Controller):
    path = "/api/v1"
    tags = ("Moderation",)

    @post("/bugs/{bug_id:str}/flag")
    @Route(access=users(), loads=load_visible_bug)
    async def flag_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[ReportContent]
    ) -> Response[FlagResponse]:
        """Flag a bug for the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flags.flag_bug(
                work, bug.id, user_id=viewer.user_id, reason=data.reason, note=data.note
            )
        return json_response(FlagResponse("Reported to the moderators", flag_id, data.reason), status=201)

    @post("/comments/{comment_id:str}/flag")
    @Route(access=users(), loads=load_visible_comment)
    async def flag_comment(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        comment: CommentState,
        data: JSONBody[ReportContent],
    ) -> Response[FlagResponse]:
        """Flag a comment for the moderators, once."""
        async with request.platform.work() as work:
            flag_id = await flags.flag_comment(
                work, comment.id, user_id=viewer.user_id, reason=data.reason, note=data.note
            )
        return json_response(FlagResponse("Reported to the moderators", flag_id, data.reason), status=201)
