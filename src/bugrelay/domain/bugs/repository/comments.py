"""SELECTs of comments and of the bugs that they are shown with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Bug, Comment
from bugrelay.domain.bugs.repository.bugs import wait_for_tables
from bugrelay.domain.bugs.schemas import CommentOut, CommentState, UserRef
from bugrelay.domain.bugs.visibility import COMMENT_LISTED, COMMENT_SHOWN
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.pagination import PageQuery

COMMENTS_IN_DETAIL = 100


class CommentRow(Row, array_like=True):
    """`username` is null if `user_id` is."""

    id: UUID
    bug_id: UUID
    user_id: UUID | None
    content: str
    content_html: str
    is_company_response: bool
    created_at: datetime
    updated_at: datetime
    edited_at: datetime | None
    username: str | None


_comments = (
    select(
        Comment.id,
        Comment.bug_id,
        Comment.user_id,
        Comment.content,
        Comment.content_html,
        Comment.is_company_response,
        Comment.created_at,
        Comment.updated_at,
        Comment.edited_at,
        User.username,
    )
    .outerjoin(User, User.id == Comment.user_id)
    .where(COMMENT_SHOWN)
)
_of_bug = _comments.where(Comment.bug_id == bindparam("bug_id"))
LATEST_OF_BUG = _of_bug.order_by(Comment.created_at.desc(), Comment.id.desc()).limit(COMMENTS_IN_DETAIL)
_PAGE = Query(
    _of_bug.order_by(Comment.created_at, Comment.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    CommentRow,
)
_TOTAL = Query(select(func.count()).where(Comment.bug_id == bindparam("bug_id"), COMMENT_SHOWN), int)
_COMMENT = Query(_comments.where(Comment.id == bindparam("comment_id")), CommentRow)


def comment_of(row: CommentRow) -> CommentOut:
    return CommentOut(
        id=row.id,
        bug_id=row.bug_id,
        user_id=row.user_id,
        content=row.content,
        content_html=row.content_html,
        is_company_response=row.is_company_response,
        created_at=row.created_at,
        updated_at=row.updated_at,
        edited_at=row.edited_at,
        user=UserRef(row.user_id, row.username) if row.user_id and row.username else None,
    )


async def list_comments(reader: Reader, bug_id: UUID, query: PageQuery) -> tuple[list[CommentOut], int]:
    """A page of a bug's comments, oldest first, and their total; the caller has checked that the bug is visible."""
    total = await reader.row(_TOTAL, {"bug_id": bug_id}) or 0
    rows = await reader.rows(_PAGE, {"bug_id": bug_id, "limit": query.limit, "offset": query.offset})
    return [comment_of(row) for row in rows], total


async def find_comment(reader: Reader, comment_id: UUID) -> CommentOut | None:
    """A comment; None if there is none, or it is withdrawn or removed."""
    row = await reader.row(_COMMENT, {"comment_id": comment_id})
    return comment_of(row) if row else None


_STATE = Query(
    select(*(getattr(Comment, name) for name in CommentState.__struct_fields__))
    .join(Bug, Bug.id == Comment.bug_id)
    .where(Comment.id == bindparam("comment_id"), COMMENT_LISTED),
    CommentState,
)


async def comment_state(reader: Reader, comment_id: UUID) -> CommentState | None:
    """The state of a comment; None unless it is listed: neither it nor its bug is withdrawn or removed."""
    return await reader.row(_STATE, {"comment_id": comment_id})


_BUG_OF = Query(select(Comment.bug_id).where(Comment.id == bindparam("comment_id")), UUID)
_LOCK_BUG = Query(select(Bug.id).where(Bug.id == bindparam("bug_id")).with_for_update(), UUID)


async def lock_bug_of_comment(work: UnitOfWork, comment_id: UUID) -> UUID | None:
    """Lock the bug that a comment is shown with, whatever its state, and return its id; None if there is no comment.

    Comments are changed under the lock of their bug. A merge may move one while this waits for the lock, so it is
    repeated until the comment belongs to the locked bug.
    """
    await wait_for_tables(work, Comment)
    bug_id = await work.row(_BUG_OF, {"comment_id": comment_id})
    while bug_id is not None:
        await work.row(_LOCK_BUG, {"bug_id": bug_id})
        now = await work.row(_BUG_OF, {"comment_id": comment_id})
        if now == bug_id:
            break
        bug_id = now
    return bug_id
