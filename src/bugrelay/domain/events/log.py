"""Writes the log: the facts of a unit of work, in the statement before its COMMIT (docs/adr/0034)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bugrelay.domain.events.schemas import LogTable
from bugrelay.infra.db.connections import PreparedStatement
from bugrelay.infra.events import EventBus, LastStatement, Recorded
from bugrelay.infra.redis.client import RedisClient

CHANNEL = "bugrelay:events:"  # followed by the stream; the message is the `seq` of its newest event

_LOG_SOME = PreparedStatement("log_events", "jsonb", "SELECT stream, last_seq FROM log_events($1)")
# The same for a single event, as nearly all are: a plain statement costs PostgreSQL less than the function.
_LOG_ONE = PreparedStatement(
    "log_event",
    "jsonb",
    """
    WITH given AS MATERIALIZED (SELECT $1 -> 0 AS entry),
    numbered AS (
        INSERT INTO event_streams AS s (stream, last_seq) SELECT (entry ->> 'stream')::uuid, 1 FROM given
        ON CONFLICT ON CONSTRAINT pk_event_streams DO UPDATE SET last_seq = s.last_seq + 1
        RETURNING s.stream, s.last_seq, clock_timestamp() AS now
    ), written AS (
        INSERT INTO events (stream, seq, type, at, actor_id, bug_id, ticket_id, project_id, version, visibility, data,
                            cause)
        SELECT stream, last_seq, entry ->> 'type', now, (entry ->> 'actor_id')::uuid, (entry ->> 'bug_id')::uuid,
            (entry ->> 'ticket_id')::uuid, (entry ->> 'project_id')::uuid, (entry ->> 'version')::integer,
            entry ->> 'visibility', entry -> 'data', entry -> 'cause'
        FROM given, numbered
    )
    SELECT stream, last_seq FROM numbered
    """,
)


class EventLog:
    """The log of a process.

    Args:
        tables: The event logs' entries for facts, of all domains.
        redis: Notifies the readers of streams.
    """

    def __init__(self, tables: Sequence[LogTable], *, redis: RedisClient) -> None:
        self._table: LogTable = {fact: entries for table in tables for fact, entries in table.items()}
        self._redis = redis

    def follow(self, bus: EventBus) -> None:
        """Subscribe to all facts of the tables."""
        bus.subscribe_last(self.write, *self._table)

    def write(self, recorded: Sequence[Recorded]) -> LastStatement:
        """The statement that appends the facts to their streams; after the COMMIT, the readers of these are notified.

        Like the function `log_events` (migrations/sql/log_events.sql) it locks the streams until the COMMIT, so that
        numbers have the order of COMMITs: no other lock may be taken after it.
        """
        entries = [
            {**vars(entry), "cause": cause}
            for fact, cause in recorded
            for entry in self._table[type(fact)](fact)
        ]
        statement = _LOG_ONE if len(entries) == 1 else _LOG_SOME
        return LastStatement(statement, msgspec.json.encode(entries), self._wake)

    def _wake(self, heads: Sequence[tuple[str, ...]]) -> None:
        for stream, last_seq in heads:
            self._redis.notify("PUBLISH", f"{CHANNEL}{stream}", last_seq)
