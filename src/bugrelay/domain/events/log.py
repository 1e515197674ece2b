"""Writes the log: the facts of a unit of work, in the statement before its COMMIT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.events.schemas import LogEntry, LogTable
from bugrelay.infra.db.database import Query, Row, driver_connection
from bugrelay.infra.events import EventBus, cause
from bugrelay.infra.redis.client import RedisClient

CHANNEL = "bugrelay:events:"  # and the stream; the message is the number of its newest event


class _Head(Row):
    """A stream that was written to, and the number of its newest event."""

    stream: UUID
    last_seq: int


_LOG = Query(
    select(func.log_events(bindparam("entries", type_=JSONB)).table_valued("stream", "last_seq")), _Head
)


class EventLog:
    """The log of a process.

    Args:
        tables: What facts become, of all domains.
        redis: Wakes whoever waits for events.
    """

    def __init__(self, tables: Sequence[LogTable], *, redis: RedisClient) -> None:
        self._table: LogTable = {fact: entries for table in tables for fact, entries in table.items()}
        self._redis = redis

    def follow(self, bus: EventBus) -> None:
        """Write down from now on what the tables name."""
        bus.subscribe_last(self.write, *self._table)

    async def write(self, session: AsyncSession, facts: Sequence[Any]) -> Callable[[], None]:
        """Write the facts at the ends of their streams; gives what wakes their readers, for behind the COMMIT.

        The function `log_events` (migrations/sql/log_events.sql) locks the streams until then, which orders numbers as
        COMMITs are: nothing that locks may come after it.
        """
        entries = [entry for fact in facts for entry in self._table[type(fact)](fact)]
        heads = await write_entries(session, entries)
        return lambda: self._wake(heads)

    def _wake(self, heads: Sequence[_Head]) -> None:
        for head in heads:
            self._redis.notify("PUBLISH", f"{CHANNEL}{head.stream}", head.last_seq)


async def write_entries(session: AsyncSession, entries: Sequence[LogEntry]) -> Sequence[_Head]:
    """Write entries in their order; gives the streams that they went to."""
    if not entries:
        return ()
    because = {"kind": cause.get(), "chain": ()}
    rows = msgspec.json.encode([_row(entry, because) for entry in entries]).decode()
    connection = await driver_connection(session)
    return await connection.rows(_LOG, {"entries": rows})


def _row(entry: LogEntry, because: Mapping[str, Any]) -> dict[str, Any]:
    return {**asdict(entry), "cause": because}
