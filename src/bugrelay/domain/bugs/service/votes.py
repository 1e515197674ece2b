"""Votes: one a user and bug, and a count that is true after any interleaving.

A vote is one statement, the function `vote` (migrations/sql/0007_votes.sql), which locks, moves the row and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, func, select

from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.errors import AccountBanned, InvalidToken
from bugrelay.infra.db import Query, Reader

_OUTCOME = func.vote(
    bindparam("bug_id", type_=Uuid), bindparam("user_id", type_=Uuid), bindparam("wanted", type_=Text)
).table_valued("refused", "voted", "changed", "votes")
_VOTE = Query(select(_OUTCOME))
_REFUSALS = {"account": InvalidToken, "banned": AccountBanned, "bug": BugNotFound}


@dataclass(frozen=True)
class VoteOutcome:
    """`changed`: whether this call moved a counter; `vote_count` as it stands with it."""

    voted: bool
    changed: bool
    vote_count: int


async def toggle_vote(where: Reader, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """Withdraw the vote that is there, else cast one.

    Args:
        where: A transaction, or `Database.alone`; so for all three.

    Raises:
        BugNotFound, AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    return await _vote(where, bug_id, user_id, "toggle")


async def cast_vote(where: Reader, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """My vote is there afterwards, whether or not it was before.

    Raises:
        BugNotFound, AccountBanned, InvalidToken
    """
    return await _vote(where, bug_id, user_id, "cast")


async def withdraw_vote(where: Reader, bug_id: UUID, *, user_id: UUID) -> VoteOutcome:
    """My vote is gone afterwards, whether or not it was there.

    Raises:
        BugNotFound, AccountBanned, InvalidToken
    """
    return await _vote(where, bug_id, user_id, "withdraw")


async def _vote(where: Reader, bug_id: UUID, user_id: UUID, wanted: str) -> VoteOutcome:
    rows = await where.rows(_VOTE, {"bug_id": bug_id, "user_id": user_id, "wanted": wanted})
    ((refused, voted, changed, vote_count),) = rows
    if refused is not None:
        raise _REFUSALS[refused]
    return VoteOutcome(voted, changed, vote_count)
