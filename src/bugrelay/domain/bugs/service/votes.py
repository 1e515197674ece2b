"""Votes: one for each user and bug, and a count that is exact after any interleaving.

The database function `vote` (migrations/sql/vote.sql) locks, changes the rows and counts, in one statement, which also
checks the voter's session. Concurrent votes for one bug in a process are coalesced: the bug's row is locked, and the
COMMIT written to disk, once for a batch (docs/adr/0017).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

import psycopg
from sqlalchemy import (
    CTE,
    Boolean,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from bugrelay.domain.accounts.models import Session, User
from bugrelay.domain.accounts.repository import holds
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import VoteCast, VoteWithdrawn
from bugrelay.errors import AccountBanned, BugRelayError, InvalidToken, ServiceUnavailable
from bugrelay.infra.coalescing import Coalescer
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus

VoteAction = Literal["cast", "withdraw", "toggle"]
"""`cast` and `withdraw` are idempotent; `toggle` casts the vote if there is none, and withdraws it otherwise."""

_BUG_ID = bindparam("bug_id", type_=Uuid)
_VOTERS = bindparam("voters", type_=ARRAY(Uuid))
_ACTIONS = bindparam("actions", type_=ARRAY(Text))
_COLUMNS = ("refused", "voted", "changed", "votes")


_REQUESTED = (
    func.unnest(_VOTERS, _ACTIONS, bindparam("sessions", type_=ARRAY(Uuid)))
    .table_valued("user_id", "action", "session_id", with_ordinality="position", name="requested")
    .render_derived()
)


def _valid() -> CTE:
    """The requests with a valid session, numbered from 1; their numbers are those of the results of `vote`."""
    return (
        select(_REQUESTED.c.position, _REQUESTED.c.user_id, _REQUESTED.c.action)
        .add_columns(func.row_number().over(order_by=_REQUESTED.c.position).label("number"))
        .join(Session, holds(session_id=_REQUESTED.c.session_id, user_id=_REQUESTED.c.user_id))
        .join(User, User.id == _REQUESTED.c.user_id)
        .where(or_(not_(bindparam("must_be_verified", type_=Boolean)), User.is_email_verified))
        .cte("valid")
    )


def _by_session() -> Select[Any]:
    """SELECT that applies the votes of valid sessions, and refuses the others.

    The function is not called without a valid session, since it locks the bug. It is called only once, because
    PostgreSQL does not inline a CTE with a volatile function.
    """
    valid = _valid()
    batch = (
        select(
            func.array_agg(aggregate_order_by(valid.c.user_id, valid.c.number)).label("voters"),
            func.array_agg(aggregate_order_by(valid.c.action, valid.c.number)).label("actions"),
        )
        .having(func.count() > 0)
        .subquery("batch")
    )
    result = (
        func.vote(_BUG_ID, batch.c.voters, batch.c.actions)
        .table_valued(*_COLUMNS, with_ordinality="number", name="result")
        .render_derived()
        .lateral("result")
    )
    applied = select(result).select_from(batch.join(result, true())).cte("applied")
    return (
        select(
            case((valid.c.number.is_(None), "session"), else_=applied.c.refused).label("refused"),
            *(func.coalesce(applied.c[name], literal_column(none)).label(name) for name, none in _NOTHING),
        )
        .select_from(_REQUESTED.outerjoin(valid, valid.c.position == _REQUESTED.c.position))
        .outerjoin(applied, applied.c.number == valid.c.number)
        .order_by(_REQUESTED.c.position)
    )


_NOTHING = (("voted", "false"), ("changed", "false"), ("votes", "0"))


class _VoteRow(Row):
    """The result for one voter; `refused` is the reason why the vote was not applied, or None."""

    refused: str | None
    voted: bool
    changed: bool
    votes: int


_VOTE = Query(select(func.vote(_BUG_ID, _VOTERS, _ACTIONS).table_valued(*_COLUMNS)), _VoteRow)
_VOTE_BY_SESSION = Query(_by_session(), _VoteRow)
_REFUSALS: dict[str, type[BugRelayError]] = {
    "account": InvalidToken,
    "banned": AccountBanned,
    "session": InvalidToken,
}
_NO_BUG = "BR404"  # the function's own error code


@dataclass(frozen=True)
class VoteRequest:
    """A requested vote; without `session_id`, the caller has checked the user's rights."""

    user_id: UUID
    action: VoteAction
    session_id: UUID | None = None


@dataclass(frozen=True)
class VoteOutcome:
    """The result of a vote.

    Attributes:
        voted: Whether the user has a vote for the bug now.
        changed: Whether this call has changed the counter.
        vote_count: The count after this vote.
    """

    voted: bool
    changed: bool
    vote_count: int


@dataclass(frozen=True)
class _Batch:
    """Votes for one bug in one statement."""

    bug_id: UUID
    requests: Sequence[VoteRequest]
    must_be_verified: bool = False

    def of(self, request: VoteRequest) -> _Batch:
        """A batch of this vote only."""
        return _Batch(self.bug_id, [request], self.must_be_verified)


_Outcomes = Sequence[VoteOutcome | BugRelayError | None]
"""In the order of the requests; None for a vote of a batch that is to be retried alone."""


async def vote(
    bug_id: UUID,
    wanted: VoteRequest,
    *,
    must_be_verified: bool = False,
    database: Database,
    bus: EventBus,
    coalescer: Coalescer,
) -> VoteOutcome:
    """Vote, in one transaction with concurrent votes for the bug.

    Args:
        bug_id: The bug.
        wanted: The vote.
        must_be_verified: Whether a user who votes by a session needs a verified address.
        database: The primary.
        bus: Publishes the facts.
        coalescer: Collects concurrent votes for one bug.

    Raises:
        BugNotFound, AccountBanned
        InvalidToken: The session has ended, the address is not verified, or the account was erased.
    """
    commit = _in_unit_of_work if bus.has_durable(VoteCast, VoteWithdrawn) else _in_one_statement

    async def run(requests: list[VoteRequest]) -> Sequence[VoteOutcome | BugRelayError]:
        batch = _Batch(bug_id, requests, must_be_verified)
        outcomes = await commit(batch, database=database, bus=bus)
        return [
            await _alone(batch.of(request), commit, database=database, bus=bus)
            if outcome is None
            else outcome
            for request, outcome in zip(requests, outcomes, strict=True)
        ]

    return _unless_refused(await coalescer.add(("vote", bug_id), wanted, run))


class _Commit(Protocol):
    """Applies the votes of a batch in a transaction, and publishes the facts."""

    async def __call__(self, batch: _Batch, *, database: Database, bus: EventBus) -> _Outcomes: ...


async def _in_one_statement(batch: _Batch, *, database: Database, bus: EventBus) -> _Outcomes:
    """Without BEGIN and COMMIT, which saves two round trips; possible only without durable subscribers."""
    outcomes = await _voted(database.autocommit, batch)
    await bus.publish_afterwards(_facts(batch, outcomes))
    return outcomes


async def _in_unit_of_work(batch: _Batch, *, database: Database, bus: EventBus) -> _Outcomes:
    async with UnitOfWork(database, bus) as work:
        return await _recorded(work, batch)


async def _recorded(work: UnitOfWork, batch: _Batch) -> _Outcomes:
    outcomes = await _voted(work, batch)
    for fact in _facts(batch, outcomes):
        work.record(fact)
    return outcomes


def _facts(batch: _Batch, outcomes: _Outcomes) -> list[VoteCast | VoteWithdrawn]:
    """A fact for each vote that has changed the count."""
    return [
        (VoteCast if outcome.voted else VoteWithdrawn)(
            bug_id=batch.bug_id, actor_id=request.user_id, vote_count=outcome.vote_count
        )
        for request, outcome in zip(batch.requests, outcomes, strict=True)
        if isinstance(outcome, VoteOutcome) and outcome.changed
    ]


async def vote_within(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, action: VoteAction) -> VoteOutcome:
    """Vote as a part of a larger transaction.

    Raises:
        BugNotFound, AccountBanned, InvalidToken
    """
    (outcome,) = await _recorded(work, _Batch(bug_id, [VoteRequest(user_id, action)]))
    return _unless_refused(outcome or ServiceUnavailable())


async def _alone(
    batch: _Batch, commit: _Commit, *, database: Database, bus: EventBus
) -> VoteOutcome | BugRelayError:
    """Retry a vote whose user's row was locked by another transaction: alone, it can wait without holding a lock."""
    try:
        (outcome,) = await commit(batch, database=database, bus=bus)
    except BugRelayError as error:
        return error
    return outcome or ServiceUnavailable()


def _unless_refused(outcome: VoteOutcome | BugRelayError) -> VoteOutcome:
    if isinstance(outcome, BugRelayError):
        raise outcome
    return outcome


async def _voted(where: Reader, batch: _Batch) -> _Outcomes:
    """Run the statement of a batch.

    Raises:
        BugNotFound
    """
    requests = batch.requests
    values: dict[str, Any] = {
        "bug_id": batch.bug_id,
        "voters": _array(request.user_id for request in requests),
        "actions": _array(request.action for request in requests),
    }
    by_session = any(request.session_id is not None for request in requests)
    if by_session:
        values["sessions"] = _array(request.session_id or "NULL" for request in requests)
        values["must_be_verified"] = batch.must_be_verified
    try:
        rows = await where.rows(_VOTE_BY_SESSION if by_session else _VOTE, values)
    except psycopg.Error as error:
        if error.sqlstate == _NO_BUG:
            raise BugNotFound from error
        raise
    return [_outcome(row) for row in rows]


def _array(values: Iterable[object]) -> str:
    """The text of an array: psycopg takes a tenth of the CPU time of a vote to pass these as lists."""
    return f"{{{','.join(map(str, values))}}}"


def _outcome(row: _VoteRow) -> VoteOutcome | BugRelayError | None:
    if row.refused == "busy":
        return None
    return _REFUSALS[row.refused]() if row.refused else VoteOutcome(row.voted, row.changed, row.votes)
