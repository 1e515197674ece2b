"""Facts that have happened, and who hears of them.

A service records a fact in its unit of work. *Durable* subscribers hear it inside the transaction, on its connection:
what they write (a job's row) is kept or lost with the change itself, and an error of theirs refuses it. *Afterwards*
subscribers hear it once the COMMIT is through: the change stands, so an error of one is logged and the next is served.
One subscriber is the *last* of the durable ones: what it locks, everybody else waits for until the COMMIT.

Subscribers are served one after the other, in the order in which they subscribed. Each is called once for a unit of
work, with the facts that it subscribed to in the order in which they were recorded. A durable subscriber may give facts
that follow from what it heard; they are published as if the service had recorded them.

Each fact has the cause of the moment in which it was recorded, and what follows from facts has that of the last of
them. The event log writes it down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.infra.db.connections import PreparedStatement

Durable = Callable[[AsyncSession, Sequence[Any]], Awaitable[Sequence[Any] | None]]
"""Gives facts that follow from these, or None."""


@dataclass(frozen=True)
class LastStatement:
    """A statement and its argument, and what is told behind the COMMIT of the rows that it gave, as text."""

    statement: PreparedStatement
    argument: bytes
    then: Callable[[Sequence[tuple[str, ...]]], None]


CauseKind: TypeAlias = Literal["user", "rule", "github", "link", "system"]


@dataclass(frozen=True)
class Cause:
    """What facts come from.

    Attributes:
        kind: `user`: somebody who asked for it; `system`: the clock, and what nobody in particular asked for; the
            others act on events by themselves.
        chain: What it follows from, oldest first: ids of events, each followed by what acted on it where that says so.
    """

    kind: CauseKind
    chain: tuple[str, ...] = ()


cause: ContextVar[Cause] = ContextVar("cause", default=Cause("user"))  # noqa: B039 - it is frozen
"""The cause of what is recorded now."""


@contextmanager
def caused_by(kind: CauseKind, *, chain: tuple[str, ...] = ()) -> Iterator[None]:
    """What is recorded inside the block has this cause."""
    token = cause.set(Cause(kind, chain))
    try:
        yield
    finally:
        cause.reset(token)


class Recorded(NamedTuple):
    """A fact, and what it comes from."""

    fact: Any
    cause: Cause


Last = Callable[[Sequence[Recorded]], LastStatement]
Afterwards = Callable[[Sequence[Any]], Awaitable[None]]

H = TypeVar("H")

log = structlog.get_logger()


@dataclass(frozen=True)
class _Subscription(Generic[H]):
    handler: H
    events: frozenset[type]

    def of(self, recorded: Sequence[Recorded]) -> list[Recorded]:
        return [one for one in recorded if type(one.fact) in self.events]


class EventBus:
    """Who subscribed to which types of facts."""

    def __init__(self) -> None:
        self._durable: list[_Subscription[Durable]] = []
        self._last: _Subscription[Last] | None = None
        self._afterwards: list[_Subscription[Afterwards]] = []

    def subscribe_durable(self, handler: Durable, *events: type) -> None:
        self._durable.append(_Subscription(handler, frozenset(events)))

    def subscribe_last(self, handler: Last, *events: type) -> None:
        """Make it the last durable subscriber; there is one."""
        self._last = _Subscription(handler, frozenset(events))

    def subscribe_afterwards(self, handler: Afterwards, *events: type) -> None:
        self._afterwards.append(_Subscription(handler, frozenset(events)))

    def has_durable(self, *events: type) -> bool:
        """Whether somebody hears one of these inside the transaction."""
        return any(not one.events.isdisjoint(events) for one in self._durable)

    async def publish_durable(self, session: Callable[[], AsyncSession], recorded: list[Recorded]) -> None:
        """Belongs inside the transaction: an error here refuses the whole change. Adds the facts that follow.

        The session is asked for only where somebody hears.
        """
        published = 0
        while published < len(recorded):
            new, published = recorded[published:], len(recorded)
            for subscription in self._durable:
                if heard := subscription.of(new):
                    follow = await subscription.handler(session(), [one.fact for one in heard])
                    recorded.extend(Recorded(fact, heard[-1].cause) for fact in follow or ())

    def last_statement(self, recorded: Sequence[Recorded]) -> LastStatement | None:
        """What belongs before the COMMIT, in one message with it."""
        if self._last is None or not (heard := self._last.of(recorded)):
            return None
        return self._last.handler(heard)

    async def publish_afterwards(self, facts: Sequence[Any]) -> None:
        """Belongs behind the COMMIT; never raises for a subscriber."""
        for subscription in self._afterwards:
            if heard := [fact for fact in facts if type(fact) in subscription.events]:
                try:
                    await subscription.handler(heard)
                except Exception:
                    log.exception(
                        "subscriber_failed", event_types=sorted({type(fact).__name__ for fact in heard})
                    )
