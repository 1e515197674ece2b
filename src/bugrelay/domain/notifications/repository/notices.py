"""Notices as their owners read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.bugs.schemas import Status, UserRef
from bugrelay.domain.notifications.schemas import NoticeEvent, NoticeOut, SubscribedBug
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
    from_status: Status | None
    to_status: Status | None
    bug_id: UUID
    title: str
    status: Status


# A notice is seen for as long as what it tells of is: neither the bug nor the comment is removed.
_SEEN = """
    FROM notices n
    JOIN notice_fan_outs f ON f.id = n.fan_out_id
    JOIN bugs b ON b.id = f.bug_id
    WHERE n.user_id = :user_id AND b.removed_at IS NULL
        AND (b.merged_into_id IS NULL OR bug_survivor(b.id) IS NOT NULL)
        AND (f.comment_id IS NULL OR EXISTS (
            SELECT FROM comments c WHERE c.id = f.comment_id AND c.removed_at IS NULL
        ))
"""
# What is put together here is ours, nobody's input.
_TOTAL = Query(text(f"SELECT count(*) {_SEEN}"), int)
_UNREAD = Query(text(f"SELECT count(*) {_SEEN} AND n.read_at IS NULL"), int)
_PAGE = Query(
    text(
        f"WITH page AS (SELECT n.id, n.read_at, f.id AS fan_out_id {_SEEN}"  # noqa: S608
        " ORDER BY n.id DESC LIMIT :limit OFFSET :offset)"
        " SELECT p.id, p.read_at, f.stream, f.seq, f.type, f.at, f.actor_id, u.username AS actor, f.comment_id,"
        " f.from_status, f.to_status, b.id AS bug_id, b.title, b.status"
        " FROM page p JOIN notice_fan_outs f ON f.id = p.fan_out_id JOIN bugs b ON b.id = bug_survivor(f.bug_id)"
        " LEFT JOIN users u ON u.id = f.actor_id ORDER BY p.id DESC"
    ),
    _NoticeRow,
)


async def list_notices(reader: Reader, user_id: UUID, query: PageQuery) -> tuple[list[NoticeOut], int]:
    """A page of what a user was told and may still see, newest first, and how many there are."""
    total = await reader.row(_TOTAL, {"user_id": user_id}) or 0
    rows = await reader.rows(_PAGE, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [_notice_of(row) for row in rows], total


async def unread_count(reader: Reader, user_id: UUID) -> int:
    """How many of those that the user may see are unread."""
    values: Mapping[str, Any] = {"user_id": user_id}
    return await reader.row(_UNREAD, values) or 0


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
        bug=SubscribedBug(row.bug_id, row.title, row.status),
        ticket=None,
        read_at=row.read_at,
    )
