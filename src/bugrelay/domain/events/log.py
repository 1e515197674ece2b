"""Writes the log: the facts of a unit of work, in the statement before its COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from bugrelay.domain.events.schemas import LogTable
from bugrelay.infra.db.connections import Connection
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.events import EventBus, FollowUp, cause
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

    async def write(self, connection: Connection, facts: Sequence[Any]) -> FollowUp:
        """Write the facts at the ends of their streams; gives what wakes their readers, for behind the COMMIT.

        The function `log_events` (migrations/sql/log_events.sql) locks the streams until then, which orders numbers as
        COMMITs are: nothing that locks may come after it.
        """
        because = {"kind": cause.get(), "chain": ()}
        entries = [
            {**vars(entry), "cause": because} for fact in facts for entry in self._table[type(fact)](fact)
        ]
        cursor = await connection.execute(
            _LOG.sql, {"entries": msgspec.json.encode(entries).decode()}, prepare=True
        )

        async def wake() -> None:
            for head in _LOG.read(cursor, await cursor.fetchall()):
                self._redis.notify("PUBLISH", f"{CHANNEL}{head.stream}", head.last_seq)

        return wake
