"""`/api/v1/admin/comments`."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import require_comment
from bugrelay.api.v1.responses.moderation import CommentAct
from bugrelay.domain.moderation.schemas import Reason
from bugrelay.domain.moderation.service import removal
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, admins
from bugrelay.infra.viewer import SignedInViewer


class CommentModerationController(Controller):
    path = "/api/v1/admin/comments/{comment_id:str}"
    tags = ("Moderation",)

    @delete("/", status_code=200)
    @Route(access=admins(), loads=require_comment)
    async def remove_comment(
        self, request: ApiRequest, viewer: SignedInViewer, comment_id: UUID, data: JSONBody[Reason]
    ) -> Response[CommentAct]:
        """Remove a comment from every public view; it stays in the database."""
        async with request.platform.work() as work:
            await removal.remove_comment(work, viewer.user_id, comment_id, reason=data.reason)
        return json_response(CommentAct("Comment removed successfully", comment_id, data.reason))

    @post("/restore", status_code=200)
    @Route(access=admins(), loads=require_comment)
    async def restore_comment(
        self, request: ApiRequest, viewer: SignedInViewer, comment_id: UUID, data: JSONBody[Reason]
    ) -> Response[CommentAct]:
        """Restore a comment that an admin removed; one that its author withdrew stays withdrawn."""
        async with request.platform.work() as work:
            await removal.restore_comment(work, viewer.user_id, comment_id, reason=data.reason)
        return json_response(CommentAct("Comment restored successfully", comment_id, data.reason))
