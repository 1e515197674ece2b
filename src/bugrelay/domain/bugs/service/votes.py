"""Votes: one a user and bug, and a count that is true after any interleaving.

Every change of a vote begins by locking the voter's row, so the votes of one user come one after the other, and then
the bug's, so that a merge or a ban finds no vote half-way; the counter moves in SQL by what the rows did.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts.service import touch
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import BugChanged
from bugrelay.domain.bugs.models import Bug, Vote
from bugrelay.infra.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class VoteOutcome:
    """`changed`: whether this call moved anything; `vote_count` as it stands with it."""

    voted: bool
    changed: bool
    vote_count: int


async def toggle_vote(work: UnitOfWork, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """Withdraw the vote that is there, else cast one.

    Raises:
        BugNotFound, AccountBanned
    """
    await _lock(work, bug_id, user_id)
    withdrawn = await _delete(work, bug_id, user_id)
    if withdrawn is not None:
        return await _count(work, bug_id, voted=False, by=withdrawn.by, recent_by=withdrawn.recent_by)
    await _insert(work, bug_id, user_id)
    return await _count(work, bug_id, voted=True, by=1, recent_by=1)


async def cast_vote(work: UnitOfWork, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """My vote is there afterwards, whether or not it was before.

    Raises:
        BugNotFound, AccountBanned
    """
    await _lock(work, bug_id, user_id)
    added = await _insert(work, bug_id, user_id)
    return await _count(work, bug_id, voted=True, by=added, recent_by=added)


async def withdraw_vote(work: UnitOfWork, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """My vote is gone afterwards, whether or not it was there.

    Raises:
        BugNotFound, AccountBanned
    """
    await _lock(work, bug_id, user_id)
    withdrawn = await _delete(work, bug_id, user_id)
    if withdrawn is None:
        return await _count(work, bug_id, voted=False, by=0, recent_by=0)
    return await _count(work, bug_id, voted=False, by=withdrawn.by, recent_by=withdrawn.recent_by)


async def _lock(work: UnitOfWork, bug_id: UUID, user_id: UUID) -> None:
    await touch(work, user_id)
    if await repository.lock_bug(work.session, bug_id) is None:
        raise BugNotFound


async def _insert(work: UnitOfWork, bug_id: UUID, user_id: UUID) -> int:
    """1 when the vote is new, else 0. One that a merge brought is this bug's own from now on."""
    vote = insert(Vote).values(bug_id=bug_id, user_id=user_id).on_conflict_do_nothing()
    if (await work.session.execute(vote.returning(Vote.bug_id))).first():
        return 1
    await work.session.execute(
        update(Vote)
        .where(Vote.bug_id == bug_id, Vote.user_id == user_id, Vote.merged_from_id.is_not(None))
        .values(merged_from_id=None),
        execution_options={"synchronize_session": False},
    )
    return 0


@dataclass(frozen=True)
class _Withdrawn:
    """What the counts move by: nothing for a vote that did not count, of a ban that has ended but is not lifted yet."""

    by: int
    recent_by: int


async def _delete(work: UnitOfWork, bug_id: UUID, user_id: UUID) -> _Withdrawn | None:
    """Take the vote away if it is there."""
    vote = (
        delete(Vote)
        .where(Vote.bug_id == bug_id, Vote.user_id == user_id)
        .returning(Vote.counted, Vote.is_recent)
    )
    row = (await work.session.execute(vote.execution_options(synchronize_session=False))).one_or_none()
    if row is None:
        return None
    return _Withdrawn(-1 if row.counted else 0, -1 if row.counted and row.is_recent else 0)


async def _count(work: UnitOfWork, bug_id: UUID, *, voted: bool, by: int, recent_by: int) -> VoteOutcome:
    counting = (
        update(Bug)
        .where(Bug.id == bug_id, repository.VISIBLE)
        .values(vote_count=Bug.vote_count + by, recent_vote_count=Bug.recent_vote_count + recent_by)
        .returning(Bug.vote_count)
        .execution_options(synchronize_session=False)
    )
    vote_count = await work.session.scalar(counting)
    if vote_count is None:
        raise BugNotFound
    if by:
        work.record(BugChanged(bug_id))
    return VoteOutcome(voted, by != 0, vote_count)
