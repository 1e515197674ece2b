"""Comments of a bug, and the company's official response."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.domain.bugs import examples, repository
from bugrelay.domain.bugs.controllers.subjects import any_bug, bug_to_answer, changing_bug, my_comment
from bugrelay.domain.bugs.errors import CommentNotFound
from bugrelay.domain.bugs.schemas import CommentAnswer, CommentList, CommentOut, WriteComment
from bugrelay.domain.bugs.service.comments import correct_comment, withdraw_comment, write_comment
from bugrelay.http.access import anyone, users
from bugrelay.http.answers import Message, answer, raw_answer, to_json
from bugrelay.http.idempotency import Keep, once
from bugrelay.http.pagination import PageQuery, Pagination
from bugrelay.http.request import ApiRequest
from bugrelay.infra.db import Reader
from bugrelay.infra.idempotency import KeptAnswer


class BugCommentController(Controller):
    path = "/api/v1/bugs/{bug_id:str}"
    tags = ("Comments",)

    @get("/comments", opt=anyone(any_bug).opt(query=PageQuery))
    async def list_comments(self, request: ApiRequest) -> Response[CommentList]:
        """All comments, oldest first."""
        query = request.read_query(PageQuery)
        comments, total = await repository.list_comments(
            request.platform.database, request.path_id("bug_id"), query
        )
        return answer(CommentList(comments, Pagination.of(query, total)))

    @post("/comments", opt=users(any_bug, verified=True).opt(idempotent=True, example=examples.COMMENT))
    async def comment(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentAnswer]:
        """Comment. A member of the assigned company makes a company response."""
        return await _write(request, data.content, "Comment created successfully", as_response=False)

    @post(
        "/company-response",
        opt=users(bug_to_answer, role="company members, admins").opt(
            idempotent=True, example=examples.RESPOND
        ),
    )
    async def respond(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentAnswer]:
        """Post the company's official response."""
        return await _write(request, data.content, "Company response added successfully", as_response=True)


class CommentController(Controller):
    path = "/api/v1/comments/{comment_id:str}"
    tags = ("Comments",)
    opt = users(my_comment, role="author").opt()

    @patch("/")
    async def correct(self, request: ApiRequest, data: JSONBody[WriteComment]) -> Response[CommentAnswer]:
        """Correct my comment."""
        comment_id = request.path_id("comment_id")
        async with request.platform.work() as work:
            await correct_comment(
                work,
                comment_id,
                user_id=request.user_id,
                content=data.content,
                is_admin=request.viewer.is_admin,
            )
            comment = await _written(work.reader, request, comment_id)
        return answer(CommentAnswer("Comment updated successfully", comment))

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
        return answer(Message("Comment withdrawn successfully"))


async def _write(request: ApiRequest, content: str, message: str, *, as_response: bool) -> Response[Any]:
    async def work(keep: Keep) -> Response[Any]:
        async with changing_bug(request) as unit:
            comment_id = await write_comment(
                unit,
                request.path_id("bug_id"),
                user_id=request.user_id,
                content=content,
                as_response=as_response,
                is_admin=request.viewer.is_admin,
            )
            body = to_json(CommentAnswer(message, await _written(unit.reader, request, comment_id)))
            await keep(unit, KeptAnswer(201, body))
        return raw_answer(body, status=201)

    return await once(request, work)


async def _written(reader: Reader, request: ApiRequest, comment_id: UUID) -> CommentOut:
    """The comment as its author is answered, with their own address."""
    comment = await repository.find_comment(reader, comment_id)
    if comment is None:
        raise CommentNotFound
    if comment.user is not None:
        comment.user.email = request.viewer.email
    return comment
