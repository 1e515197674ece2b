"""The log of an empty board, and consumers that write down what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from bugrelay.bootstrap import build
from bugrelay.domain.events.consumers import BATCH, Consumer, follow
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings

Sql = psycopg.Connection[Any]
POOL = 60  # a third of it at once: 16 writers, and those who read


@pytest.fixture
async def platform(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    """What a process stands on, with nothing on the board."""
    platform = build(replace(settings, workers=1, database_pool=POOL))
    await platform.start()
    yield platform
    await platform.close()


@dataclass
class Notes:
    """A consumer that keeps a row for each event in the transaction of its cursor, as an effect would be.

    `fails_at`: raises when it is given an event of which this is true. `batch`: how many it is given. `turn`: how many
    it handles at a time.
    """

    name: str = "notes"
    fails_at: Callable[[Event], bool] = lambda _event: False
    batch: int = BATCH
    turn: int | None = None
    batches: list[int] = field(default_factory=list)
    failed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def consumer(self) -> Consumer:
        return Consumer(self.name, self._handle, self.batch)

    async def _handle(self, work: UnitOfWork, events: Sequence[Event]) -> int | None:
        self.batches.append(len(events))
        for event in events[: self.turn]:
            await work.session.execute(
                text(
                    "INSERT INTO notes (consumer, stream, seq, type) VALUES (:consumer, :stream, :seq, :type)"
                ),
                {"consumer": self.name, "stream": event.stream, "seq": event.seq, "type": event.type},
            )
            if self.fails_at(event):
                self.failed.set()
                raise RuntimeError("of its own")
        return self.turn


@pytest.fixture
def notes(sql: Sql) -> Any:
    """Where `Notes` writes: `order` shows what came first."""
    sql.execute(
        "CREATE TABLE notes (consumer text, stream uuid, seq bigint, type text,"
        " no bigint GENERATED ALWAYS AS IDENTITY)"
    )
    yield
    sql.execute("DROP TABLE notes")


@asynccontextmanager
async def following(platform: Platform, *consumers: Consumer) -> AsyncIterator[asyncio.Event]:
    """Consumers at work for the length of the block; gives the event that wakes them."""
    woken = asyncio.Event()
    task = asyncio.create_task(follow(consumers, work=platform.work, database=platform.database, woken=woken))
    try:
        yield woken
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def noted(sql: Sql, consumer: str = "notes") -> dict[UUID, list[int]]:
    """The numbers that a consumer has noted, of each stream, in the order of its notes."""
    rows = sql.execute(
        "SELECT stream, seq FROM notes WHERE consumer = %s ORDER BY no", (consumer,)
    ).fetchall()
    found: dict[UUID, list[int]] = {}
    for stream, seq in rows:
        found.setdefault(stream, []).append(seq)
    return found


def logged(sql: Sql) -> dict[UUID, list[int]]:
    """The numbers of each stream."""
    rows = sql.execute("SELECT stream, seq FROM events ORDER BY stream, seq").fetchall()
    found: dict[UUID, list[int]] = {}
    for stream, seq in rows:
        found.setdefault(stream, []).append(seq)
    return found


def heads(sql: Sql) -> dict[UUID, list[int]]:
    """The numbers that each stream ought to have."""
    rows = sql.execute("SELECT stream, last_seq FROM event_streams WHERE last_seq > 0").fetchall()
    return {stream: list(range(1, last_seq + 1)) for stream, last_seq in rows}
