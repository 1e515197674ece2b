"""Notices as their owners read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.bugs.schemas import UserRef
from bugrelay.domain.notifications.schemas import (
    FollowedTicket,
    NoticeEvent,
    NoticeOut,
    SubscribedBug,
)
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


class _NoticeRow(Row):
    id: UUID
    read_at: datetime | None
    stream: UUID
    seq: int
    type: Any
    at: datetime
    actor_id: UUID | None
    actor: str | None
    comment_id: UUID | None
    from_status: str | None
    to_status: str | None
    bug_id: UUID | None
    ticket_id: UUID | None
    key: str | None
    title: str
    status: Any


class _Counts(Row):
    total: int
    unread: int


# A notice is visible while its subject is: neither the bug nor the comment is removed, and its reader may see the
# ticket.
_SEEN = """
    SELECT n.id, n.read_at, n.fan_out_id
    FROM notices n
    JOIN notice_fan_outs f ON f.id = n.fan_out_id
    JOIN bugs b ON b.id = f.bug_id
    WHERE n.user_id = :user_id AND b.removed_at IS NULL
        AND (b.merged_into_id IS NULL OR bug_survivor(b.id) IS NOT NULL)
        AND (f.comment_id IS NULL OR EXISTS (
            SELECT FROM comments c WHERE c.id = f.comment_id AND c.removed_at IS NULL
        ))
    UNION ALL
    SELECT n.id, n.read_at, n.fan_out_id
    FROM notices n
    JOIN notice_fan_outs f ON f.id = n.fan_out_id
    JOIN tickets_seen_by(:user_id) s ON s.company_id = f.stream AND s.ticket_id = f.ticket_id
    WHERE n.user_id = :user_id AND (s.with_internal OR NOT f.is_internal)
        AND (f.comment_id IS NULL OR EXISTS (
            SELECT FROM ticket_comments c
            WHERE c.company_id = f.stream AND c.id = f.comment_id AND c.removed_at IS NULL
        ))
"""
# These statements are composed of constants, never of input.
_COUNTS = Query(
    text(f"SELECT count(*) AS total, count(*) FILTER (WHERE read_at IS NULL) AS unread FROM ({_SEEN}) x"),  # noqa: S608
    _Counts,
)
_PAGE = Query(
    text(
        f"WITH page AS (SELECT * FROM ({_SEEN}) x ORDER BY id DESC LIMIT :limit OFFSET :offset)"  # noqa: S608
        " SELECT p.id, p.read_at, f.stream, f.seq, f.type, f.at, f.actor_id, u.username AS actor, f.comment_id,"
        " f.from_status, f.to_status, b.id AS bug_id, t.id AS ticket_id, t.key, coalesce(b.title, t.title) AS title,"
        " coalesce(b.status, t.status) AS status"
        " FROM page p JOIN notice_fan_outs f ON f.id = p.fan_out_id"
        " LEFT JOIN bugs b ON b.id = bug_survivor(f.bug_id)"
        " LEFT JOIN tickets t ON t.company_id = f.stream AND t.id = f.ticket_id"
        " LEFT JOIN users u ON u.id = f.actor_id ORDER BY p.id DESC"
    ),
    _NoticeRow,
)


async def list_notices(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[NoticeOut], int, int]:
    """A page of the notices that a user may still see, newest first, how many there are, and how many are unread."""
    (counts,) = await reader.rows(_COUNTS, {"user_id": user_id})
    rows = await reader.rows(_PAGE, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [_notice_of(row) for row in rows], counts.total, counts.unread


async def unread_count(reader: Reader, user_id: UUID) -> int:
    """The number of unread notices that the user may see."""
    (counts,) = await reader.rows(_COUNTS, {"user_id": user_id})
    return counts.unread


def _notice_of(row: _NoticeRow) -> NoticeOut:
    return NoticeOut(
        id=row.id,
        event=NoticeEvent(
            id=f"evt_{row.stream}_{row.seq}",
            type=row.type,
            at=row.at,
            actor=UserRef(row.actor_id, row.actor) if row.actor_id and row.actor else None,
            comment_id=row.comment_id,
            from_status=row.from_status,
            to_status=row.to_status,
        ),
        bug=SubscribedBug(row.bug_id, row.title, row.status) if row.bug_id else None,
        ticket=_ticket_of(row),
        read_at=row.read_at,
    )


def _ticket_of(row: _NoticeRow) -> FollowedTicket | None:
    if row.ticket_id is None or row.key is None:
        return None
    return FollowedTicket(row.ticket_id, row.stream, row.key, row.title, row.status)
