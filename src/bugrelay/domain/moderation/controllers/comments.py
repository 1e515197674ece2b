"""`/api/v1/admin/comments`."""

from __future__ import annotations

from litestar import Controller, Response, delete, post
from litestar.params import JSONBody

from bugrelay.domain.moderation.controllers.subjects import stored_comment
from bugrelay.domain.moderation.schemas import CommentAct, Reason
from bugrelay.domain.moderation.service.removal import remove_comment, restore_comment
from bugrelay.http.access import admins
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest


class CommentModerationController(Controller):
    path = "/api/v1/admin/comments/{comment_id:str}"
    tags = ("Moderation",)
    opt = admins(stored_comment).opt()

    @delete("/", status_code=200)
    async def remove(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CommentAct]:
        """Remove a comment from every public view; it is kept in the database."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await remove_comment(work, request.user_id, comment_id, reason=data.reason)
        return answer(CommentAct("Comment removed successfully", comment_id, data.reason))

    @post("/restore", status_code=200)
    async def restore(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[CommentAct]:
        """Bring back what an admin removed; what its author withdrew stays withdrawn."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await restore_comment(work, request.user_id, comment_id, reason=data.reason)
        return answer(CommentAct("Comment restored successfully", comment_id, data.reason))
