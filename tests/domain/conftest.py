"""Facts as a subscriber receives them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.app import create_app
from bugrelay.infra.events import EventBus
from bugrelay.settings import Settings

DOMAINS = ("accounts", "companies", "bugs", "moderation", "webhooks", "tickets", "links", "github")
T = TypeVar("T")


def events_of(domain: str) -> list[type]:
    """All types of facts of a domain."""
    module = import_module(f"bugrelay.domain.{domain}.events")
    return [
        one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__
    ]


class Heard:
    """A durable subscriber to everything: the facts in the order they were heard, and in which transaction."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.transactions: list[str] = []
        self.refuses = False

    def listen(self, bus: EventBus) -> None:
        bus.subscribe_durable(self._hear, *(one for domain in DOMAINS for one in events_of(domain)))

    async def _hear(self, session: AsyncSession, facts: Sequence[Any]) -> None:
        if self.refuses:
            raise RuntimeError("this subscriber refuses everything")
        transaction = await session.scalar(text("SELECT pg_current_xact_id()::text"))
        self.facts.extend(facts)
        self.transactions.extend([transaction] * len(facts))

    def names(self) -> list[str]:
        """The types of what was heard since the last call."""
        names = [type(fact).__name__ for fact in self.facts]
        self.facts.clear()
        return names

    def last(self, kind: type[T]) -> T:
        """The last fact of this type."""
        return next(fact for fact in reversed(self.facts) if isinstance(fact, kind))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def listened_client(
    settings: Settings, empty_board: None, heard: Heard
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application in which `heard` listens."""
    app = create_app(settings)
    heard.listen(app.state.platform.bus)
    await app.state.platform.start()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=transport, base_url="http://board.example", timeout=30
    ) as listened:
        yield listened
    await app.state.platform.close()
