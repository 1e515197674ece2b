"""Facts that have happened, and who hears of them.

A service records an event in its unit of work. *Durable* subscribers run inside the transaction, on its connection (a
job row is kept or lost with the change itself); *afterwards* subscribers run once the COMMIT is through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

E = TypeVar("E")
Durable = Callable[[AsyncSession, Any], Awaitable[None]]
Afterwards = Callable[[Any], Awaitable[None]]

log = structlog.get_logger()


class EventBus:
    """Who subscribed to which event type."""

    def __init__(self) -> None:
        self._durable: dict[type, list[Durable]] = defaultdict(list)
        self._afterwards: dict[type, list[Afterwards]] = defaultdict(list)

    def subscribe_durable(
        self, event: type[E], handler: Callable[[AsyncSession, E], Awaitable[None]]
    ) -> None:
        self._durable[event].append(handler)

    def subscribe_afterwards(self, event: type[E], handler: Callable[[E], Awaitable[None]]) -> None:
        self._afterwards[event].append(handler)

    async def publish_durable(self, session: AsyncSession, events: list[Any]) -> None:
        """Run inside the transaction: an error here refuses the whole change."""
        for event in events:
            for handler in self._durable[type(event)]:
                await handler(session, event)

    async def publish_afterwards(self, events: list[Any]) -> None:
        """Run after the COMMIT: the change stands, so an error is logged and the next subscriber is served."""
        for event in events:
            for handler in self._afterwards[type(event)]:
                try:
                    await handler(event)
                except Exception:
                    log.exception("subscriber_failed", event_type=type(event).__name__)
