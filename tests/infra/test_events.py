"""Which subscribers are called with a fact, in which order, and what happens to an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from bugrelay.infra.db.database import Database
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.settings import Settings


@dataclass(frozen=True)
class Begun:
    number: int


@dataclass(frozen=True)
class Ended:
    number: int


FACTS = [Begun(1), Ended(1), Begun(2)]


class Subscribers:
    """Records the facts of each subscriber; one of them fails after the commit."""

    def __init__(self, bus: EventBus) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.served = asyncio.Event()
        bus.subscribe_afterwards(self._failing, Begun)
        bus.subscribe_afterwards(self._last, Ended, Begun)
        bus.subscribe_durable(self._durable, Ended, Begun)
        bus.subscribe_durable(self._only_ends, Ended)

    async def _durable(self, _session: Any, facts: Sequence[Any]) -> None:
        self.calls.append(("durable", list(facts)))

    async def _only_ends(self, _session: Any, facts: Sequence[Any]) -> None:
        self.calls.append(("only ends", list(facts)))

    async def _failing(self, facts: Sequence[Any]) -> None:
        self.calls.append(("failing", list(facts)))
        raise RuntimeError("of its own")

    async def _last(self, facts: Sequence[Any]) -> None:
        self.calls.append(("last", list(facts)))
        self.served.set()


@pytest.fixture
async def database(settings: Settings, empty_board: None) -> Any:
    database = Database(replace(settings, workers=1))
    yield database
    await database.close()


INSERT = Query(
    text("INSERT INTO captcha_tokens (token_hash) VALUES (:token_hash) RETURNING token_hash"), bytes
)
Write = Callable[[UnitOfWork], Awaitable[None]]


async def write(work: UnitOfWork) -> None:
    await work.session.execute(text("INSERT INTO captcha_tokens (token_hash) VALUES ('\\x00')"))
    for fact in FACTS:
        work.record(fact)


def written(sql: psycopg.Connection[Any]) -> bool:
    return sql.execute("SELECT FROM captcha_tokens").fetchone() is not None


async def test_subscribers_are_called_in_order_and_once_with_the_facts_that_they_subscribe_to(
    database: Database, sql: psycopg.Connection[Any]
) -> None:
    bus = EventBus()
    subscribers = Subscribers(bus)
    with capture_logs() as lines:
        async with UnitOfWork(database, bus) as work:
            await write(work)
            assert subscribers.calls == []
    assert subscribers.calls == [
        ("durable", FACTS),
        ("only ends", [Ended(1)]),
        ("failing", [Begun(1), Begun(2)]),
        ("last", FACTS),
    ]
    (failure,) = [line for line in lines if line["event"] == "subscriber_failed"]
    assert failure["event_types"] == ["Begun"]
    assert written(sql)


async def test_a_failure_after_a_savepoint_undoes_only_what_follows_it_with_its_facts(
    database: Database, sql: psycopg.Connection[Any]
) -> None:
    bus = EventBus()
    subscribers = Subscribers(bus)

    async def fail(work: UnitOfWork) -> None:
        async with work.savepoint():
            await work.rows(INSERT, {"token_hash": b"\x01"})
            await write(work)
            await work.session.execute(text("SELECT 1 / 0"))

    async with UnitOfWork(database, bus) as work:
        with pytest.raises(DBAPIError):
            await fail(work)
        async with work.savepoint():
            await write(work)
    assert subscribers.calls[-1] == ("last", FACTS)
    assert sql.execute("SELECT token_hash FROM captcha_tokens").fetchall() == [(b"\x00",)]


async def test_a_rollback_stores_nothing_and_publishes_nothing(
    database: Database, sql: psycopg.Connection[Any]
) -> None:
    bus = EventBus()
    subscribers = Subscribers(bus)
    async with UnitOfWork(database, bus) as work:
        await write(work)
        work.undo()
    assert subscribers.calls == []
    assert not written(sql)


async def test_a_failing_durable_subscriber_rolls_back_and_publishes_nothing(
    database: Database, sql: psycopg.Connection[Any]
) -> None:
    bus = EventBus()
    subscribers = Subscribers(bus)

    async def refuse(_session: Any, _facts: Sequence[Any]) -> None:
        raise ValueError("no")

    bus.subscribe_durable(refuse, Begun)
    with pytest.raises(ValueError, match="no"):
        async with UnitOfWork(database, bus) as work:
            await write(work)
    assert [who for who, _ in subscribers.calls] == ["durable", "only ends"]
    assert not written(sql)


async def test_a_cancellation_at_the_commit_leaves_it_complete(
    database: Database, sql: psycopg.Connection[Any]
) -> None:
    bus = EventBus()
    subscribers = Subscribers(bus)

    async def cancel(_session: Any, _facts: Sequence[Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    bus.subscribe_durable(cancel, Begun)

    async def request() -> None:
        async with UnitOfWork(database, bus) as work:
            await write(work)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(request())
    await asyncio.wait_for(subscribers.served.wait(), timeout=60)
    assert subscribers.calls[-1] == ("last", FACTS)
    assert written(sql)
