"""Votes: one a user and bug, and a count that is true after any interleaving.

The function `vote` of the database (migrations/sql/vote.sql) locks, moves the rows and counts, in one statement.
A bug that everybody votes for takes the votes of a process together: its row is locked, and a COMMIT written to disk,
once for all that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

import psycopg
from sqlalchemy import Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import VoteCast, VoteWithdrawn
from bugrelay.errors import AccountBanned, BugRelayError, InvalidToken, ServiceUnavailable
from bugrelay.infra.coalescing import Coalescer
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus

VoteAction = Literal["cast", "withdraw", "toggle"]
"""My vote is there afterwards; it is gone; it is there if it was not."""

_OUTCOME = func.vote(
    bindparam("bug_id", type_=Uuid),
    bindparam("voters", type_=ARRAY(Uuid)),
    bindparam("wanted", type_=ARRAY(Text)),
).table_valued("refused", "voted", "changed", "votes")


class _VoteRow(Row):
    """What the function gives for each voter; `refused` says why nothing was done."""

    refused: str | None
    voted: bool
    changed: bool
    votes: int


_VOTE = Query(select(_OUTCOME), _VoteRow)
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


_Outcomes = Sequence[VoteOutcome | BugRelayError | None]
"""In the order of the requests; None for one of several that is to be asked again alone."""


async def vote(
    bug_id: UUID,
    *,
    user_id: UUID,
    action: VoteAction,
    database: Database,
    bus: EventBus,
    coalescer: Coalescer,
) -> VoteOutcome:
    """Vote in a transaction of its own, together with whoever votes for the bug meanwhile.

    Raises:
        BugNotFound, AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    commit = _in_unit_of_work if bus.has_durable(VoteCast, VoteWithdrawn) else _in_one_statement

    async def run(requests: list[VoteRequest]) -> Sequence[VoteOutcome | BugRelayError]:
        outcomes = await commit(bug_id, requests, database=database, bus=bus)
        return [
            await _alone(bug_id, request, commit, database=database, bus=bus) if outcome is None else outcome
            for request, outcome in zip(requests, outcomes, strict=True)
        ]

    return _unless_refused(await coalescer.add(("vote", bug_id), VoteRequest(user_id, action), run))


class _Commit(Protocol):
    """Does votes for one bug in a transaction, and lets the subscribers know."""

    async def __call__(
        self, bug_id: UUID, requests: Sequence[VoteRequest], *, database: Database, bus: EventBus
    ) -> _Outcomes: ...


async def _in_one_statement(
    bug_id: UUID, requests: Sequence[VoteRequest], *, database: Database, bus: EventBus
) -> _Outcomes:
    """Without BEGIN and COMMIT, which are two round trips more: nobody is to hear of it inside the transaction."""
    outcomes = await _voted(database.autocommit, bug_id, requests)
    await bus.publish_afterwards(_facts(bug_id, requests, outcomes))
    return outcomes


async def _in_unit_of_work(
    bug_id: UUID, requests: Sequence[VoteRequest], *, database: Database, bus: EventBus
) -> _Outcomes:
    async with UnitOfWork(database, bus) as work:
        return await _recorded(work, bug_id, requests)


async def _recorded(work: UnitOfWork, bug_id: UUID, requests: Sequence[VoteRequest]) -> _Outcomes:
    outcomes = await _voted(work, bug_id, requests)
    for fact in _facts(bug_id, requests, outcomes):
        work.record(fact)
    return outcomes


def _facts(
    bug_id: UUID, requests: Sequence[VoteRequest], outcomes: _Outcomes
) -> list[VoteCast | VoteWithdrawn]:
    """What has happened: one for each vote that moved the count."""
    return [
        (VoteCast if outcome.voted else VoteWithdrawn)(
            bug_id=bug_id, actor_id=request.user_id, vote_count=outcome.vote_count
        )
        for request, outcome in zip(requests, outcomes, strict=True)
        if isinstance(outcome, VoteOutcome) and outcome.changed
    ]


async def vote_within(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, action: VoteAction) -> VoteOutcome:
    """Vote as a part of a larger change.

    Raises:
        BugNotFound, AccountBanned, InvalidToken
    """
    (outcome,) = await _recorded(work, bug_id, [VoteRequest(user_id, action)])
    return _unless_refused(outcome or ServiceUnavailable())


async def _alone(
    bug_id: UUID, request: VoteRequest, commit: _Commit, *, database: Database, bus: EventBus
) -> VoteOutcome | BugRelayError:
    """One whose row was locked, by another change of theirs: it can be waited for by one who holds nothing."""
    try:
        (outcome,) = await commit(bug_id, [request], database=database, bus=bus)
    except BugRelayError as error:
        return error
    return outcome or ServiceUnavailable()


def _unless_refused(outcome: VoteOutcome | BugRelayError) -> VoteOutcome:
    if isinstance(outcome, BugRelayError):
        raise outcome
    return outcome


async def _voted(where: Reader, bug_id: UUID, requests: Sequence[VoteRequest]) -> _Outcomes:
    """
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
    return [_outcome(row) for row in rows]


def _outcome(row: _VoteRow) -> VoteOutcome | BugRelayError | None:
    if row.refused == "busy":
        return None
    return _REFUSALS[row.refused]() if row.refused else VoteOutcome(row.voted, row.changed, row.votes)
