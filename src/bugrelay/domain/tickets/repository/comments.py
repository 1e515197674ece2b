"""SELECTs of comments of tickets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import TicketComment
from bugrelay.domain.tickets.repository.columns import NAME, values_of
from bugrelay.domain.tickets.schemas import CommentDetail, TicketUser
from bugrelay.domain.tickets.visibility import by_sight, comments_visible_to
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


class _CommentRow(Row):
    id: UUID
    ticket_id: UUID
    author_id: UUID | None
    author_name: str | None
    content: str
    content_html: str
    is_internal: bool
    created_at: datetime
    updated_at: datetime
    username: str | None
    name: str | None


_PLAIN = [getattr(TicketComment, name) for name in _CommentRow.__struct_fields__[:9]]
_COMMENTS = (
    select(*_PLAIN, User.username, NAME.label("name"))
    .outerjoin(User, User.id == TicketComment.author_id)
    .where(TicketComment.ticket_id == bindparam("ticket_id"))
)
_PAGE = by_sight(
    lambda tenant: Query(
        _COMMENTS.where(comments_visible_to(tenant))
        .order_by(TicketComment.created_at, TicketComment.id)
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer)),
        _CommentRow,
    )
)
_TOTAL = by_sight(
    lambda tenant: Query(
        select(func.count())
        .select_from(TicketComment)
        .where(comments_visible_to(tenant), TicketComment.ticket_id == bindparam("ticket_id")),
        int,
    )
)
_ONE = by_sight(
    lambda tenant: Query(
        _COMMENTS.where(comments_visible_to(tenant), TicketComment.id == bindparam("comment_id")), _CommentRow
    )
)


async def list_comments(
    reader: Reader, tenant: Tenant, ticket_id: UUID, query: PageQuery
) -> tuple[list[CommentDetail], int]:
    """A page of the comments of a visible ticket, oldest first, and the total that the reader sees."""
    total = await reader.row(_TOTAL.of(tenant), values_of(tenant, ticket_id=ticket_id))
    page = values_of(tenant, ticket_id=ticket_id, limit=query.limit, offset=query.offset)
    return [_comment_of(row) for row in await reader.rows(_PAGE.of(tenant), page)], total or 0


async def find_comment(
    reader: Reader, tenant: Tenant, ticket_id: UUID, comment_id: UUID
) -> CommentDetail | None:
    """A comment of a visible ticket."""
    row = await reader.row(_ONE.of(tenant), values_of(tenant, ticket_id=ticket_id, comment_id=comment_id))
    return _comment_of(row) if row else None


def _author_of(row: _CommentRow) -> TicketUser | None:
    if row.author_id is None or row.username is None or row.name is None:
        return None
    return TicketUser(row.author_id, row.username, row.name)


def _comment_of(row: _CommentRow) -> CommentDetail:
    return CommentDetail(
        id=row.id,
        ticket_id=row.ticket_id,
        author=_author_of(row),
        author_name=row.name or row.author_name,
        content=row.content,
        content_html=row.content_html,
        is_internal=row.is_internal,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
