"""Which bugs are merged where, locked for an act.

A bug that is merged away keeps its own votes. Its comments and pictures are shown with its target, and with that
one's target if it is merged too: they climb until a bug that is not merged, or one that was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import CTE, Integer, func, literal, select, update

from bugrelay.domain.bugs.models import Attachment, Bug, BugMerge, Comment, Vote
from bugrelay.domain.bugs.repository import wait_for_tables
from bugrelay.infra.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class ModeratedState:
    """What an act of moderation looks at."""

    id: UUID
    title: str
    removed_at: datetime | None
    removed_reason: str | None
    merged_into_id: UUID | None
    merged_at: datetime | None
    assigned_company_id: UUID | None

    @property
    def is_removed(self) -> bool:
        return self.removed_at is not None


async def lock_bugs(work: UnitOfWork, ids: Iterable[UUID]) -> dict[UUID, ModeratedState]:
    """Lock bugs, whatever their state, in the one order that everybody locks them in."""
    await wait_for_tables(work, Vote, Comment, Attachment, BugMerge)
    rows = await work.session.execute(
        select(
            Bug.id,
            Bug.title,
            Bug.removed_at,
            Bug.removed_reason,
            Bug.merged_into_id,
            Bug.merged_at,
            Bug.assigned_company_id,
        )
        .where(Bug.id.in_(set(ids)))
        .order_by(Bug.id)
        .with_for_update()
    )
    return {row.id: ModeratedState(*row) for row in rows}


async def lock_chain(work: UnitOfWork, bug_id: UUID) -> list[ModeratedState]:
    """Lock a bug and all that it is merged into, one by way of the other; empty for a bug that is not there.

    Belongs into a turn (turns.py), in which the chain stands still.
    """
    above = _chain(bug_id)
    ids = list(await work.session.scalars(select(above.c.id).order_by(above.c.depth)))
    locked = await lock_bugs(work, ids)
    return [locked[one] for one in ids]


def _chain(bug_id: UUID) -> CTE:
    start = select(Bug.id, Bug.merged_into_id, literal(0, Integer).label("depth")).where(Bug.id == bug_id)
    chain = start.cte("chain", recursive=True)
    return chain.union_all(
        select(Bug.id, Bug.merged_into_id, chain.c.depth + 1).where(Bug.id == chain.c.merged_into_id)
    )


def displayed_on(chain: Sequence[ModeratedState]) -> UUID:
    """Where the comments and pictures of the first bug of a chain are shown."""
    return next(bug.id for bug in chain if bug.is_removed or bug.merged_into_id is None)


async def recount(work: UnitOfWork, ids: Iterable[UUID]) -> None:
    """Make the counters of locked bugs what their rows say."""
    votes = select(func.count()).where(Vote.bug_id == Bug.id, Vote.counted)
    comments = select(func.count()).where(Comment.bug_id == Bug.id, Comment.removed_at.is_(None))
    await work.session.execute(
        update(Bug)
        .where(Bug.id.in_(set(ids)))
        .values(
            vote_count=votes.scalar_subquery(),
            recent_vote_count=votes.where(Vote.is_recent).scalar_subquery(),
            comment_count=comments.scalar_subquery(),
        )
        .execution_options(synchronize_session=False)
    )
