"""The jobs that count what is too much to count while somebody waits, and carry these totals forward."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import text

from bugrelay.domain.tickets.search.query import BoundQuery
from bugrelay.domain.tickets.search.statements import total_query
from bugrelay.domain.tickets.search.totals import READ_KEPT
from bugrelay.infra.db.database import Connection
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.slow_connection import slow_connection
from bugrelay.infra.incremental_counts import Counted, IncrementalCounts

ROUND_SECONDS = 60.0  # what is not counted by then is counted in the next round
_NAME = "bugrelay-ticket-totals"

_KEEP = Query(
    text(
        "INSERT INTO ticket_kept_totals (key, total, snapshot, era, cluster)"
        " SELECT :key, CAST(:total AS bigint), CAST(:snapshot AS text), CAST(:era AS text), system_identifier"
        " FROM pg_control_system()"
        " ON CONFLICT (key) DO UPDATE SET total = excluded.total, snapshot = excluded.snapshot, era = excluded.era,"
        " cluster = excluded.cluster, carried_at = now()"
    )
)
_LOCK = Query(text("SELECT pg_try_advisory_lock(hashtext('tickets.keep_totals'))"), bool)
_KEYS = Query(text("SELECT key FROM ticket_kept_totals"), str)
_FORGET = Query(text("DELETE FROM ticket_kept_totals WHERE asked_at < now() - interval '1 day'"))
_ASKED = Query(text("UPDATE ticket_kept_totals SET asked_at = now() WHERE key = :key"))


async def count_total(key: str, *, database_url: str, counts: IncrementalCounts) -> None:
    """Count what somebody asks for, unless that is done; again without harm."""
    async with slow_connection(database_url, name=_NAME) as reader:
        if await reader.row(READ_KEPT, {"key": key}) is None:
            await _count(reader, key, counts=counts)
        await reader.execute(_ASKED.sql, {"key": key})


async def keep_totals(*, database_url: str, counts: IncrementalCounts) -> None:
    """Carry the kept totals forward; those that nobody has asked for in a day go."""
    async with slow_connection(database_url, name=_NAME) as reader:
        if not await reader.row(_LOCK):
            return  # the round before this one still runs
        began = time.monotonic()
        await reader.execute(_FORGET.sql)
        for key in await reader.rows(_KEYS):
            if not await _carry(reader, key, counts=counts):
                await _count(reader, key, counts=counts)
            if time.monotonic() - began > ROUND_SECONDS:
                return


async def _carry(reader: Connection, key: str, *, counts: IncrementalCounts) -> bool:
    """Whether the kept total could be carried forward."""
    kept = await reader.row(READ_KEPT, {"key": key})
    if kept is None:
        return False
    wanted = BoundQuery.of_total_key(key)
    values = {**wanted.values, "snapshot": kept.snapshot}
    (change,) = await reader.rows(total_query(wanted.spec, incremental=True), values)
    if change.era != kept.era:
        return False
    counted = Counted(kept.total + change.total, change.snapshot, change.era)
    await _keep(reader, key, counted=counted, counts=counts)
    return True


async def _count(reader: Connection, key: str, *, counts: IncrementalCounts) -> None:
    wanted = BoundQuery.of_total_key(key)
    (counted,) = await reader.rows(total_query(wanted.spec), wanted.values)
    await _keep(reader, key, counted=counted, counts=counts)


async def _keep(reader: Connection, key: str, *, counted: Counted, counts: IncrementalCounts) -> None:
    await reader.execute(_KEEP.sql, {"key": key, **msgspec.structs.asdict(counted)})
    await counts.share(key, counted)
