"""Facts that have happened, and who hears of them.

A service records a fact in its unit of work. *Durable* subscribers hear it inside the transaction, on its connection:
what they write (a job's row) is kept or lost with the change itself, and an error of theirs refuses it. *Afterwards*
subscribers hear it once the COMMIT is through: the change stands, so an error of one is logged and the next is served.

Subscribers are served one after the other, in the order in which they subscribed. Each is called once for a unit of
work, with the facts that it subscribed to in the order in which they were recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

Durable = Callable[[AsyncSession, Sequence[Any]], Awaitable[None]]
Afterwards = Callable[[Sequence[Any]], Awaitable[None]]
H = TypeVar("H")

log = structlog.get_logger()


@dataclass(frozen=True)
class _Subscription(Generic[H]):
    handler: H
    events: frozenset[type]

    def of(self, facts: Sequence[Any]) -> list[Any]:
        return [fact for fact in facts if type(fact) in self.events]


class EventBus:
    """Who subscribed to which types of facts."""

    def __init__(self) -> None:
        self._durable: list[_Subscription[Durable]] = []
        self._afterwards: list[_Subscription[Afterwards]] = []

    def subscribe_durable(self, handler: Durable, *events: type) -> None:
        self._durable.append(_Subscription(handler, frozenset(events)))

    def subscribe_afterwards(self, handler: Afterwards, *events: type) -> None:
        self._afterwards.append(_Subscription(handler, frozenset(events)))

    def has_durable(self, *events: type) -> bool:
        """Whether somebody hears one of these inside the transaction."""
        return any(not one.events.isdisjoint(events) for one in self._durable)

    async def publish_durable(self, session: AsyncSession, facts: Sequence[Any]) -> None:
        """Belongs inside the transaction: an error here refuses the whole change."""
        for subscription in self._durable:
            if heard := subscription.of(facts):
                await subscription.handler(session, heard)

    async def publish_afterwards(self, facts: Sequence[Any]) -> None:
        """Belongs behind the COMMIT; never raises for a subscriber."""
        for subscription in self._afterwards:
            if heard := subscription.of(facts):
                try:
                    await subscription.handler(heard)
                except Exception:
                    log.exception(
                        "subscriber_failed", event_types=sorted({type(fact).__name__ for fact in heard})
                    )
