"""The jobs that count what is too much to count while somebody waits, and keep these totals.

What the planner's statistics call common is counted before anybody asks and kept in a table, carried forward every
minute; what is asked for besides is counted at once, and kept for a day. docs/adr/0016.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from sqlalchemy import text

from bugrelay.domain.bugs.search.planner import BoundQuery, QuerySpec
from bugrelay.domain.bugs.search.statements import total_query
from bugrelay.domain.bugs.search.totals import READ_KEPT, TABLE
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.database import Connection
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.slow_connection import slow_connection
from bugrelay.infra.db.statistics import Common, read_common
from bugrelay.infra.incremental_counts import Counted, IncrementalCounts
from bugrelay.infra.search.parser import quoted

MAX_COMMON = 300  # totals that are kept whether anybody asks or not
ROUND_SECONDS = 60.0  # what is not counted by then is counted in the next round

# The filter of each column whose values are counted.
_FILTERS = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "assigned_company_id": "company_id",
    "reporter_id": "reporter_id",
}

_KEEP = Query(
    text(
        "INSERT INTO kept_totals (key, total, snapshot, era, cluster)"
        " SELECT :key, CAST(:total AS bigint), CAST(:snapshot AS text), CAST(:era AS text), system_identifier"
        " FROM pg_control_system()"
        " ON CONFLICT (key) DO UPDATE SET total = excluded.total, snapshot = excluded.snapshot, era = excluded.era,"
        " cluster = excluded.cluster, carried_at = now()"
    )
)
_LOCK = Query(text("SELECT pg_try_advisory_lock(hashtext('bugs.keep_totals'))"), bool)
_KEYS = Query(text("SELECT key FROM kept_totals"), str)
_FORGET = Query(
    text("DELETE FROM kept_totals WHERE asked_at < now() - interval '1 day' AND NOT key = ANY(:common)")
)
_ASKED = Query(text("UPDATE kept_totals SET asked_at = now() WHERE key = :key"))


def _common_keys(common: Common) -> list[str]:
    """The keys of lists by one common filter, and of searches for one common word, the most common first."""
    found = sorted(_hits_by_key(common), reverse=True)[:MAX_COMMON]
    return [key for _, key in found]


def _hits_by_key(common: Common) -> Iterator[tuple[float, str]]:
    if common.rows < incremental_counts.MAX_COUNTED_HERE:
        return
    yield common.rows, BoundQuery(QuerySpec()).total_key
    for column, values in common.values.items():
        for value, hits in values.items():
            # Tiers and stop words are no words that people type.
            if column == "document" and value[0] not in "^=":
                yield hits, BoundQuery(QuerySpec(searching=True), {"search": quoted(value)}).total_key
            elif column == "tags":
                yield hits, BoundQuery(QuerySpec(("tags",)), {"tags": [value]}).total_key
            elif name := _FILTERS.get(column):
                yield hits, BoundQuery(QuerySpec((name,)), {name: value}).total_key


async def count_total(key: str, *, database_url: str, counts: IncrementalCounts) -> None:
    """Count what somebody asks for, unless that is done; again without harm."""
    async with slow_connection(database_url, name="bugrelay-totals") as reader:
        if await reader.row(READ_KEPT, {"key": key}) is None:
            await _count(reader, key, counts=counts)
        await reader.execute(_ASKED.sql, {"key": key})


async def keep_totals(*, database_url: str, counts: IncrementalCounts) -> None:
    """Carry the kept totals forward, then count the common ones that are not kept yet."""
    async with slow_connection(database_url, name="bugrelay-totals") as reader:
        if not await reader.row(_LOCK):
            return  # the round before this one still runs
        began = time.monotonic()
        common = await read_common(reader, TABLE, least=incremental_counts.MAX_COUNTED_HERE)
        wanted = _common_keys(common)
        await reader.execute(_FORGET.sql, {"common": wanted})
        kept = await reader.rows(_KEYS)
        missing = [key for key in kept if not await _carry(reader, key, counts=counts)]
        missing += [key for key in wanted if key not in set(kept)]
        for key in missing:
            if time.monotonic() - began > ROUND_SECONDS:
                return
            await _count(reader, key, counts=counts)


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
    (counted,) = await reader.rows(total_query(wanted.spec, incremental=False), wanted.values)
    await _keep(reader, key, counted=counted, counts=counts)


async def _keep(reader: Connection, key: str, *, counted: Counted, counts: IncrementalCounts) -> None:
    await reader.execute(_KEEP.sql, {"key": key, **msgspec.structs.asdict(counted)})
    await counts.share(key, counted)
