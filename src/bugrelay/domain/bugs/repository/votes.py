"""Votes, and which of them age."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Interval, Uuid, any_, bindparam, func, literal_column, select, true

from bugrelay.domain.bugs.models import Bug, Vote
from bugrelay.domain.bugs.schemas import Level, Reason
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork


class ViewerRow(Row):
    """What a bug is to a viewer; `level` and `reason` are null where they do not follow it."""

    voted: bool
    level: Level | None
    reason: Reason | None


_followed = func.bug_subscription(
    bindparam("bug_id", type_=Uuid), bindparam("user_id", type_=Uuid)
).table_valued("level", "reason", name="followed")
_voted = (
    select(literal_column("1"))
    .where(Vote.bug_id == bindparam("bug_id"), Vote.user_id == bindparam("user_id"))
    .exists()
    .label("voted")
)
_VIEWER = Query(
    select(_voted, _followed.c.level, _followed.c.reason).select_from(
        select(literal_column("1")).subquery("one").outerjoin(_followed, true())
    ),
    ViewerRow,
)


async def viewer_row(reader: Reader, *, bug_id: UUID, user_id: UUID) -> ViewerRow:
    """Whether a user has voted for a bug, and how they follow it."""
    found = await reader.row(_VIEWER, {"bug_id": bug_id, "user_id": user_id})
    assert found is not None  # noqa: S101 - one row, whatever there is
    return found


class VoteKey(Row):
    bug_id: UUID
    user_id: UUID


_AGED = Query(
    select(Vote.bug_id, Vote.user_id)
    .where(Vote.is_recent, Vote.created_at <= func.now() - bindparam("age", type_=Interval))
    .order_by(Vote.created_at)
    .limit(bindparam("limit", type_=Integer)),
    VoteKey,
)


async def aged_votes(reader: Reader, *, age: timedelta, limit: int) -> Sequence[VoteKey]:
    """Votes that count as recent and are of this age or older, the oldest first."""
    return await reader.rows(_AGED, {"age": age, "limit": limit})


_LOCK_BUGS = Query(
    select(Bug.id)
    .where(Bug.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(Bug.id)
    .with_for_update(key_share=True),
    UUID,
)


async def lock_bugs_for_votes(work: UnitOfWork, ids: Iterable[UUID]) -> None:
    """Before their votes, in the order of their ids, as whoever votes, bans or merges locks them."""
    await work.rows(_LOCK_BUGS, {"ids": list(set(ids))})
