"""Comments of a bug, and the company's official response."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import (
    load_visible_bug,
    require_author,
    require_may_answer,
    unit_of_work_on_bug,
)
from bugrelay.api.v1.responses.bugs import CommentList, CommentResponse
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import CommentNotFound
from bugrelay.domain.bugs.schemas import BugState, CommentOut, WriteComment
from bugrelay.domain.bugs.service import comments
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.db.database import Reader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer


class BugCommentController(Controller):
    path = "/api/v1/bugs/{bug_id:str}"
    tags = ("Comments",)

    @get("/comments")
    @Route(access=anyone(), loads=load_visible_bug, query=PageQuery)
    async def list_comments(
        self, request: ApiRequest, bug: BugState, query: PageQuery
    ) -> Response[CommentList]:
        """List all comments, oldest first."""
        listed, total = await repository.list_comments(request.platform.database, bug.id, query)
        return json_response(CommentList(listed, Pagination.of(query, total)))

    @post("/comments")
    @Route(access=users(verified=True), loads=load_visible_bug, idempotent=True, example=bugs.COMMENT)
    async def write_comment(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[WriteComment]
    ) -> Response[CommentResponse]:
        """Comment on a bug.

        A comment by a member of the assigned company is a company response.
        """
        message = "Comment created successfully"
        return await _write(request, viewer, bug, data, message=message, as_response=False)

    @post("/company-response")
    @Route(
        access=users("company members, admins"),
        loads=require_may_answer,
        idempotent=True,
        example=bugs.RESPOND,
    )
    async def write_company_response(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[WriteComment]
    ) -> Response[CommentResponse]:
        """Post the company's official response."""
        message = "Company response added successfully"
        return await _write(request, viewer, bug, data, message=message, as_response=True)


class CommentController(Controller):
    path = "/api/v1/comments/{comment_id:str}"
    tags = ("Comments",)

    @patch("/")
    @Route(access=users("author"), loads=require_author)
    async def update_comment(
        self, request: ApiRequest, viewer: SignedInViewer, comment_id: UUID, data: JSONBody[WriteComment]
    ) -> Response[CommentResponse]:
        """Edit my comment."""
        async with request.platform.work() as work:
            await comments.update_comment(
                work,
                comment_id,
                user_id=viewer.user_id,
                content=data.content,
                is_admin=viewer.is_admin,
            )
            comment = await _written(work, viewer, comment_id)
        return json_response(CommentResponse("Comment updated successfully", comment))

    @delete("/", status_code=200)
    @Route(access=users("author"), loads=require_author)
    async def withdraw_comment(
        self, request: ApiRequest, viewer: SignedInViewer, comment_id: UUID
    ) -> Response[Message]:
        """Withdraw my comment."""
        async with request.platform.work() as work:
            await comments.withdraw_comment(
                work, comment_id, user_id=viewer.user_id, is_admin=viewer.is_admin
            )
        return json_response(Message("Comment withdrawn successfully"))


async def _write(
    request: ApiRequest,
    viewer: SignedInViewer,
    bug: BugState,
    data: WriteComment,
    *,
    message: str,
    as_response: bool,
) -> Response[Any]:
    async def work(complete: Complete) -> Response[Any]:
        async with unit_of_work_on_bug(request) as unit:
            comment_id = await comments.write_comment(
                unit,
                bug.id,
                user_id=viewer.user_id,
                content=data.content,
                as_response=as_response,
                is_admin=viewer.is_admin,
            )
            body = to_json(CommentResponse(message, await _written(unit, viewer, comment_id)))
            await complete(unit, StoredResponse(201, body))
        return raw_json_response(body, status=201)

    return await idempotent(request, work)


async def _written(reader: Reader, viewer: SignedInViewer, comment_id: UUID) -> CommentOut:
    """The comment as its author sees it, with their own address."""
    comment = await repository.find_comment(reader, comment_id)
    if comment is None:
        raise CommentNotFound
    if comment.user is not None:
        comment.user.email = viewer.email
    return comment
