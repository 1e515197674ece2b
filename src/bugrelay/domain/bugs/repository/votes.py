"""SELECTs of votes and their counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Interval, Uuid, any_, bindparam, func, select

from bugrelay.domain.bugs.models import Bug, Vote
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork


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
    """Up to `limit` votes that count as recent and are at least this old, oldest first."""
    return await reader.rows(_AGED, {"age": age, "limit": limit})


class VoteCount(Row):
    """The vote count of a listed bug."""

    id: UUID
    assigned_company_id: UUID | None
    vote_count: int


_COUNTS = Query(
    select(Bug.id, Bug.assigned_company_id, Bug.vote_count).where(
        Bug.id == any_(bindparam("ids", type_=ARRAY(Uuid))), LISTED
    ),
    VoteCount,
)


async def vote_counts(reader: Reader, bug_ids: Sequence[UUID]) -> Sequence[VoteCount]:
    """The vote counts of those of these bugs that are listed."""
    return await reader.rows(_COUNTS, {"ids": list(bug_ids)}) if bug_ids else ()


_LOCK_BUGS = Query(
    select(Bug.id)
    .where(Bug.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(Bug.id)
    .with_for_update(key_share=True),
    UUID,
)


async def lock_bugs_for_votes(work: UnitOfWork, ids: Iterable[UUID]) -> None:
    """Lock the bugs before their votes, in the order of their ids, like votes, bans and merges do."""
    await work.rows(_LOCK_BUGS, {"ids": list(set(ids))})
