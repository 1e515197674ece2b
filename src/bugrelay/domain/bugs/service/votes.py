"""Votes: one a user and bug, and a count that is true after any interleaving.

The function `vote` of the database (migrations/sql/vote.sql) locks, moves the rows and counts, in one statement.
A bug that everybody votes for takes the votes of a process together: its row is locked, and a COMMIT written to disk,
once for all that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import psycopg
from sqlalchemy import Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import BugChanged
from bugrelay.errors import AccountBanned, BugRelayError, InvalidToken, ServiceUnavailable
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.platform import Platform

VoteAction = Literal["cast", "withdraw", "toggle"]
"""My vote is there afterwards; it is gone; it is there if it was not."""

_OUTCOME = func.vote(
    bindparam("bug_id", type_=Uuid),
    bindparam("voters", type_=ARRAY(Uuid)),
    bindparam("wanted", type_=ARRAY(Text)),
).table_valued("refused", "voted", "changed", "votes")
_VOTE = Query(select(_OUTCOME))
_REFUSALS: dict[str, type[BugRelayError]] = {"account": InvalidToken, "banned": AccountBanned}
_NO_BUG = "BR404"  # the function's own error code


@dataclass(frozen=True)
class VoteRequest:
    user_id: UUID
    action: VoteAction


@dataclass(frozen=True)
class VoteOutcome:
    """`changed`: whether this call moved a counter; `vote_count` as it stands with it."""

    voted: bool
    changed: bool
    vote_count: int


async def vote(platform: Platform, bug_id: UUID, *, user_id: UUID, action: VoteAction) -> VoteOutcome:
    """Vote in a transaction of its own, together with whoever votes for the bug meanwhile.

    Raises:
        BugNotFound, AccountBanned
        InvalidToken: The account was erased meanwhile.
    """

    async def run(requests: list[VoteRequest]) -> Sequence[VoteOutcome | BugRelayError]:
        outcomes = [
            await _alone(platform, bug_id, request) if outcome is None else outcome
            for request, outcome in zip(
                requests, await _voted(platform.database.autocommit, bug_id, requests), strict=True
            )
        ]
        if any(isinstance(outcome, VoteOutcome) and outcome.changed for outcome in outcomes):
            await platform.bus.publish_afterwards([BugChanged(bug_id)])
        return outcomes

    return _unless_refused(await platform.coalescer.add(("vote", bug_id), VoteRequest(user_id, action), run))


async def vote_within(transaction: Reader, bug_id: UUID, *, user_id: UUID, action: VoteAction) -> VoteOutcome:
    """Vote as a part of a larger change, which is to tell of it.

    Raises:
        BugNotFound, AccountBanned, InvalidToken
    """
    (outcome,) = await _voted(transaction, bug_id, [VoteRequest(user_id, action)])
    return _unless_refused(outcome or ServiceUnavailable())


async def _alone(platform: Platform, bug_id: UUID, request: VoteRequest) -> VoteOutcome | BugRelayError:
    """One whose row was locked, by another change of theirs: it can be waited for by one who holds nothing."""
    try:
        (outcome,) = await _voted(platform.database.autocommit, bug_id, [request])
    except BugRelayError as error:
        return error
    return outcome or ServiceUnavailable()


def _unless_refused(outcome: VoteOutcome | BugRelayError) -> VoteOutcome:
    if isinstance(outcome, BugRelayError):
        raise outcome
    return outcome


async def _voted(
    where: Reader, bug_id: UUID, requests: Sequence[VoteRequest]
) -> Sequence[VoteOutcome | BugRelayError | None]:
    """What came of each ballot, in order; None for one of several that is to be asked again alone.

    Raises:
        BugNotFound
    """
    values = {
        "bug_id": bug_id,
        "voters": [request.user_id for request in requests],
        "wanted": [request.action for request in requests],
    }
    try:
        rows = await where.rows(_VOTE, values)
    except psycopg.Error as error:
        if error.sqlstate == _NO_BUG:
            raise BugNotFound from error
        raise
    return [_outcome(*row) for row in rows]


def _outcome(
    refused: str | None, voted: bool, changed: bool, vote_count: int
) -> VoteOutcome | BugRelayError | None:
    if refused == "busy":
        return None
    return _REFUSALS[refused]() if refused else VoteOutcome(voted, changed, vote_count)
