"""Merge chains: on which bug the content of merged bugs is displayed, and the counters.

A merged bug keeps its own votes. Its comments and pictures are displayed on the first bug of its chain that is not
merged, or that was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import func, select, update

from bugrelay.domain.bugs.models import Bug, Comment, Vote
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN
from bugrelay.domain.moderation.schemas import ModeratedState
from bugrelay.infra.db.unit_of_work import UnitOfWork


def displayed_on(chain: Sequence[ModeratedState]) -> UUID:
    """The id of the bug on which the comments and pictures of the chain's first bug are displayed."""
    return next(bug.id for bug in chain if bug.is_removed or bug.merged_into_id is None)


async def recount(work: UnitOfWork, ids: Iterable[UUID]) -> None:
    """Recompute the counters of locked bugs from their rows."""
    votes = select(func.count()).where(Vote.bug_id == Bug.id, Vote.counted)
    comments = select(func.count()).where(Comment.bug_id == Bug.id, COMMENT_SHOWN)
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
