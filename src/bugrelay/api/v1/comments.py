"""Comments of a bug, and the company's official response."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import (
    require_author,
    require_may_answer,
    require_visible_bug,
    unit_of_work_on_bug,
)
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import CommentNotFound
from bugrelay.domain.bugs.schemas import CommentList, CommentOut, CommentResponse, WriteComment
from bugrelay.domain.bugs.service.comments import update_comment, withdraw_comment, write_comment
from bugrelay.http.guard import anyone, users
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response, raw_json_response, to_json
from bugrelay.infra.db.database import Reader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination


class BugCommentController(Controller):
    path = "/api/v1/bugs/{bug_id:str}"
    tags = ("Comments",)

    @get("/comments", opt=anyone(require_visible_bug).opt(query=PageQuery))
    async def list_comments(self, request: ApiRequest) -> Response[CommentList]:
        """All comments, oldest first."""
        query = request.read_query(PageQuery)
        comments, total = await repository.list_comments(
            request.platform.database, request.path_id("bug_id"), query
        )
        return json_response(CommentList(comments, Pagination.of(query, total)))

    @post(
        "/comments", opt=users(require_visible_bug, verified=True).opt(idempotent=True, example=bugs.COMMENT)
    )
    async def comment(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentResponse]:
        """Comment. A member of the assigned company makes a company response."""
        return await _write(request, data.content, "Comment created successfully", as_response=False)

    @post(
        "/company-response",
        opt=users(require_may_answer, role="company members, admins").opt(
            idempotent=True, example=bugs.RESPOND
        ),
    )
    async def respond(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentResponse]:
        """Post the company's official response."""
        return await _write(request, data.content, "Company response added successfully", as_response=True)


class CommentController(Controller):
    path = "/api/v1/comments/{comment_id:str}"
    tags = ("Comments",)
    opt = users(require_author, role="author").opt()

    @patch("/")
    async def correct(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentResponse]:
        """Correct my comment."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await update_comment(
                work,
                comment_id,
                user_id=request.user_id,
                content=data.content,
                is_admin=request.viewer.is_admin,
            )
            comment = await _written(work.reader, request, comment_id)
        return json_response(CommentResponse("Comment updated successfully", comment))

    @delete("/", status_code=200)
    async def withdraw(self, request: ApiRequest) -> Response[Message]:
        """Withdraw my comment."""
        async with request.platform.work() as work:
            await withdraw_comment(
                work,
                request.path_id("comment_id"),
                user_id=request.user_id,
                is_admin=request.viewer.is_admin,
            )
        return json_response(Message("Comment withdrawn successfully"))


async def _write(request: ApiRequest, content: str, message: str, *, as_response: bool) -> Response[Any]:
    async def work(complete: Complete) -> Response[Any]:
        async with unit_of_work_on_bug(request) as unit:
            comment_id = await write_comment(
                unit,
                request.path_id("bug_id"),
                user_id=request.user_id,
                content=content,
                as_response=as_response,
                is_admin=request.viewer.is_admin,
            )
            body = to_json(CommentResponse(message, await _written(unit.reader, request, comment_id)))
            await complete(unit, StoredResponse(201, body))
        return raw_json_response(body, status=201)

    return await idempotent(request, work)


async def _written(reader: Reader, request: ApiRequest, comment_id: UUID) -> CommentOut:
    """The comment as its author is answered, with their own address."""
    comment = await repository.find_comment(reader, comment_id)
    if comment is None:
        raise CommentNotFound
    if comment.user is not None:
        comment.user.email = request.viewer.email
    return comment
