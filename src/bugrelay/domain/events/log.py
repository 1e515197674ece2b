"""Writes the log: the facts of a unit of work, in the statement before its COMMIT."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bugrelay.domain.events.schemas import LogTable
from bugrelay.infra.db.connections import PreparedStatement
from bugrelay.infra.events import EventBus, LastStatement, Recorded
from bugrelay.infra.redis.client import RedisClient

CHANNEL = "bugrelay:events:"  # and the stream; the message is the number of its newest event


_LOG = PreparedStatement("log_events", "jsonb", "SELECT stream, last_seq FROM log_events($1)")


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

    def write(self, recorded: Sequence[Recorded]) -> LastStatement:
        """The statement that writes the facts at the ends of their streams; behind the COMMIT, their readers are woken.

        The function `log_events` (migrations/sql/log_events.sql) locks the streams until then, which orders numbers as
        COMMITs are: nothing that locks may come after it.
        """
        entries = [
            {**vars(entry), "cause": cause}
            for fact, cause in recorded
            for entry in self._table[type(fact)](fact)
        ]
        return LastStatement(_LOG, msgspec.json.encode(entries), self._wake)

    def _wake(self, heads: Sequence[tuple[str, ...]]) -> None:
        for stream, last_seq in heads:
            self._redis.notify("PUBLISH", f"{CHANNEL}{stream}", last_seq)
