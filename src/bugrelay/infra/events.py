"""The event bus: facts (domain events) and their subscribers.

A service records a fact in its unit of work. *Durable* subscribers are called inside the transaction, on its
connection: what they write (a job's row) is committed or rolled back with the change, and their errors make it fail.
*Afterwards* subscribers are called after the COMMIT: the change is final, so their errors are logged, and the next one
is called. One durable subscriber is the *last*: what it locks stays locked for the shortest time before the COMMIT.

Subscribers are called one after the other, in the order of their subscriptions: each once for a unit of work, with the
facts that it subscribed to, in the order in which they were recorded. A durable subscriber may return facts that
follow; they are published as if the service had recorded them.

Each fact has the cause that was set when it was recorded; facts that follow from others have the cause of the last of
those. The event log stores it.
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
"""Returns facts that follow from these, or None."""


@dataclass(frozen=True)
class LastStatement:
    """A statement and its argument, and a callback for the rows that it returns, as text, after the COMMIT."""

    statement: PreparedStatement
    argument: bytes
    then: Callable[[Sequence[tuple[str, ...]]], None]


CauseKind: TypeAlias = Literal["user", "rule", "github", "link", "system"]


@dataclass(frozen=True)
class Cause:
    """The cause of facts.

    Attributes:
        kind: `user`: a request; `system`: jobs; the others are automations that act on events.
        chain: The causal chain, oldest first: ids of events, each followed by the automation that acted on it, if it is
            named.
    """

    kind: CauseKind
    chain: tuple[str, ...] = ()


cause: ContextVar[Cause] = ContextVar("cause", default=Cause("user"))  # noqa: B039 - it is frozen
"""The cause of facts that are recorded in this context."""


@contextmanager
def caused_by(kind: CauseKind, *, chain: tuple[str, ...] = ()) -> Iterator[None]:
    """Facts recorded inside the block have this cause."""
    token = cause.set(Cause(kind, chain))
    try:
        yield
    finally:
        cause.reset(token)


class Recorded(NamedTuple):
    """A fact and its cause."""

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
    """Subscriptions to types of facts."""

    def __init__(self) -> None:
        self._durable: list[_Subscription[Durable]] = []
        self._durable_events: set[type] = set()
        self._last: _Subscription[Last] | None = None
        self._afterwards: list[_Subscription[Afterwards]] = []

    def subscribe_durable(self, handler: Durable, *events: type) -> None:
        self._durable.append(_Subscription(handler, frozenset(events)))
        self._durable_events.update(events)

    def subscribe_last(self, handler: Last, *events: type) -> None:
        """Set the last durable subscriber; there is one at most."""
        self._last = _Subscription(handler, frozenset(events))

    def subscribe_afterwards(self, handler: Afterwards, *events: type) -> None:
        self._afterwards.append(_Subscription(handler, frozenset(events)))

    def has_durable(self, *events: type) -> bool:
        """Whether any of these has a durable subscriber."""
        return not self._durable_events.isdisjoint(events)

    async def publish_durable(self, session: Callable[[], AsyncSession], recorded: list[Recorded]) -> None:
        """Call the durable subscribers, inside the transaction; their errors make it fail. Adds facts that follow to
        `recorded`.

        `session` is called only where there is a subscriber.
        """
        published = 0
        while published < len(recorded):
            new, published = recorded[published:], len(recorded)
            for subscription in self._durable:
                if matching := subscription.of(new):
                    follow = await subscription.handler(session(), [one.fact for one in matching])
                    recorded.extend(Recorded(fact, matching[-1].cause) for fact in follow or ())

    def last_statement(self, recorded: Sequence[Recorded]) -> LastStatement | None:
        """The statement to send in one message with the COMMIT, before it."""
        if self._last is None or not (matching := self._last.of(recorded)):
            return None
        return self._last.handler(matching)

    async def publish_afterwards(self, facts: Sequence[Any]) -> None:
        """Call the afterwards subscribers, after the COMMIT; their errors are logged."""
        for subscription in self._afterwards:
            if matching := [fact for fact in facts if type(fact) in subscription.events]:
                try:
                    await subscription.handler(matching)
                except Exception:
                    log.exception(
                        "subscriber_failed", event_types=sorted({type(fact).__name__ for fact in matching})
                    )
