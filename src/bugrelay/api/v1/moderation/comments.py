"""`/api/v1/admin/comments`."""

from __future__ import annotations

from litestar import Controller, Response, delete, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import load_comment
from bugrelay.domain.moderation.schemas import CommentAct, Reason
from bugrelay.domain.moderation.service.removal import remove_comment, restore_comment
from bugrelay.http.guard import admins
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class CommentModerationController(Controller):
    path = "/api/v1/admin/comments/{comment_id:str}"
    tags = ("Moderation",)
    opt = admins(load_comment).opt()

    @delete("/", status_code=200)
    async def remove(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CommentAct]:
        """Remove a comment from every public view; it is kept in the database."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await remove_comment(work, request.user_id, comment_id, reason=data.reason)
        return json_response(CommentAct("Comment removed successfully", comment_id, data.reason))

    @post("/restore", status_code=200)
    async def restore(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CommentAct]:
        """Bring back what an admin removed; what its author withdrew stays withdrawn."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await restore_comment(work, request.user_id, comment_id, reason=data.reason)
        return json_response(CommentAct("Comment restored successfully", comment_id, data.reason))
