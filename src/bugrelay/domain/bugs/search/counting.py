"""Totals of the board that are too many to count while somebody waits: which they are, and the jobs that count them.

A key says all that a total depends on, so a job can count it from the key alone. What the planner's statistics call
common is counted before anybody asks and kept in a table, carried forward every minute; what is asked for besides is
counted by a job at once, and kept for a day. docs/adr/0016.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import bindparam, literal_column, select, text

from bugrelay.domain.bugs.models import kept_totals
from bugrelay.domain.bugs.search.parser import SearchQuery, quoted
from bugrelay.domain.bugs.search.statements import ERA, QuerySpec, counted, total_query
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.database import Connection, Query, libpq_url
from bugrelay.infra.db.statistics import Common, read_common
from bugrelay.infra.incremental_counts import ByJob, Counted
from bugrelay.infra.platform import Platform

COUNT_JOB = "bugs.count_total"
TABLE = "bug_search"
MAX_COMMON = 300  # totals that are kept whether anybody asks or not
MAX_KEY_LENGTH = 600  # characters, of at most four bytes: an entry of an index holds 2,700
STATEMENT_SECONDS = 90  # for one count; nobody waits for it any more
ROUND_SECONDS = 60.0  # what is not counted by then is counted in the next round

# Filters by the column that they read, where that has another name; and the filter of each column.
_COLUMNS = {
    "application_ids": "application_id",
    "company_ids": "assigned_company_id",
    "company_id": "assigned_company_id",
}
_FILTERS = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "assigned_company_id": "company_id",
    "reporter_id": "reporter_id",
}

# Of this era, which a TRUNCATE and a restore end; of this server, for the numbers of transactions in a snapshot mean
# others where a dump is restored; and younger than the log of changes by far.
_kept = kept_totals.c
READ_KEPT = Query(
    select(_kept.total, _kept.snapshot, _kept.era).where(
        _kept.key == bindparam("key"),
        _kept.era == literal_column(ERA),
        _kept.cluster == literal_column("(SELECT system_identifier FROM pg_control_system())"),
        _kept.carried_at > literal_column("now() - interval '30 minutes'"),
    ),
    Counted,
)
_KEEP = Query(
    text(
        "INSERT INTO kept_totals (key, total, snapshot, era, cluster)"
        " SELECT :key, CAST(:total AS bigint), CAST(:snapshot AS text), CAST(:era AS text), system_identifier"
        " FROM pg_control_system()"
        " ON CONFLICT (key) DO UPDATE SET total = excluded.total, snapshot = excluded.snapshot, era = excluded.era,"
        " cluster = excluded.cluster, carried_at = now()"
    )
)
BY_JOB = ByJob(READ_KEPT, COUNT_JOB)
_TURN = Query(text("SELECT pg_try_advisory_lock(hashtext('bugs.keep_totals'))"))
_KEYS = Query(text("SELECT key FROM kept_totals"))
_FORGET = Query(
    text("DELETE FROM kept_totals WHERE asked_at < now() - interval '1 day' AND NOT key = ANY(:common)")
)
_ASKED = Query(text("UPDATE kept_totals SET asked_at = now() WHERE key = :key"))


def total_key(spec: QuerySpec, values: Mapping[str, Any]) -> str:
    """All that a total depends on, as JSON."""
    what = counted(spec)
    names = [*what.filters, *(["search"] if what.searching else []), *(["since"] if what.since else [])]
    if what.at_least:
        names += ["at_least", *(f"word_{i}" for i in range(what.words))]
    return msgspec.json.encode(
        [what.filters, what.at_least, {name: values[name] for name in names}], order="sorted"
    ).decode()


def _read_key(key: str) -> tuple[QuerySpec, dict[str, Any]]:
    filters, _, values = msgspec.json.decode(key)
    return QuerySpec(tuple(filters), "", searching="search" in values), values


def counted_by(
    key: str, spec: QuerySpec, values: Mapping[str, Any], *, common: Common, search: SearchQuery | None
) -> ByJob | None:
    """The job that counts this total, when more rows are to be expected than a reader counts."""
    is_large = len(key) <= MAX_KEY_LENGTH and is_common(common, spec, values, search)
    return BY_JOB if is_large else None


def is_common(common: Common, spec: QuerySpec, values: Mapping[str, Any], search: SearchQuery | None) -> bool:
    """Whether many rows are to be expected. A value that the statistics do not name is rare."""
    if spec.at_least or spec.since:
        return False
    hits = [common.rows, *(_filter_hits(common, name, values[name]) for name in spec.filters)]
    if search is not None and search.lexemes:
        words = common.values.get("document", {})
        of_words = [words.get(lexeme, 0.0) for lexeme in search.lexemes]
        hits.append(sum(of_words) if " | " in (search.all_words or "") else min(of_words))
    return min(hits) >= incremental_counts.MAX_COUNTED_HERE


def _filter_hits(common: Common, name: str, value: Any) -> float:
    shares = common.values.get(_COLUMNS.get(name, name), {})
    if name == "tags":
        return min(shares.get(tag, 0.0) for tag in value)
    if name in ("application_ids", "company_ids"):
        return sum(shares.get(one, 0.0) for one in value.strip("{}").split(","))
    return shares.get(str(value), 0.0)


def _common_keys(common: Common) -> list[str]:
    """The keys of lists by one common filter, and of searches for one common word, the most common first."""
    found = sorted(_hits_by_key(common), reverse=True)[:MAX_COMMON]
    return [key for _, key in found]


def _hits_by_key(common: Common) -> Iterator[tuple[float, str]]:
    if common.rows < incremental_counts.MAX_COUNTED_HERE:
        return
    yield common.rows, total_key(QuerySpec((), ""), {})
    for column, values in common.values.items():
        for value, hits in values.items():
            # Layers and stop words are no words that people type.
            if column == "document" and value[0] not in "^=":
                yield hits, total_key(QuerySpec((), "", searching=True), {"search": quoted(value)})
            elif column == "tags":
                yield hits, total_key(QuerySpec(("tags",), ""), {"tags": [value]})
            elif name := _FILTERS.get(column):
                yield hits, total_key(QuerySpec((name,), ""), {name: value})


async def count_total(platform: Platform, *, key: str) -> None:
    """Count what somebody asks for, unless that is done; again without harm."""
    async with _slow_connection(platform) as reader:
        if await reader.row(READ_KEPT, {"key": key}) is None:
            await _count(platform, reader, key)
        await reader.execute(_ASKED.sql, {"key": key})


async def keep_totals(platform: Platform) -> None:
    """Carry the kept totals forward, then count the common ones that are not kept yet."""
    async with _slow_connection(platform) as reader:
        if (await reader.rows(_TURN))[0] != (True,):
            return  # the round before this one is still at it
        began = time.monotonic()
        common = await read_common(reader, TABLE, least=incremental_counts.MAX_COUNTED_HERE)
        wanted = _common_keys(common)
        await reader.execute(_FORGET.sql, {"common": wanted})
        kept = [key for (key,) in await reader.rows(_KEYS)]
        missing = [key for key in kept if not await _carry(platform, reader, key)]
        missing += [key for key in wanted if key not in set(kept)]
        for key in missing:
            if time.monotonic() - began > ROUND_SECONDS:
                return
            await _count(platform, reader, key)


async def _carry(platform: Platform, reader: Connection, key: str) -> bool:
    """Whether the kept total could be carried forward."""
    known = await reader.row(READ_KEPT, {"key": key})
    if known is None:
        return False
    spec, values = _read_key(key)
    ((change, snapshot, era),) = await reader.rows(
        total_query(spec, incremental=True), {**values, "snapshot": known.snapshot}
    )
    if era != known.era:
        return False
    await _keep(platform, reader, key=key, counted_now=Counted(known.total + change, snapshot, era))
    return True


async def _count(platform: Platform, reader: Connection, key: str) -> None:
    spec, values = _read_key(key)
    ((total, snapshot, era),) = await reader.rows(total_query(spec, incremental=False), values)
    await _keep(platform, reader, key=key, counted_now=Counted(total, snapshot, era))


async def _keep(platform: Platform, reader: Connection, *, key: str, counted_now: Counted) -> None:
    facts = {"key": key, "total": counted_now.total, "snapshot": counted_now.snapshot, "era": counted_now.era}
    await reader.execute(_KEEP.sql, facts)
    await platform.counts.share(key, counted_now)


class _SlowConnection(Connection):
    exchange_seconds = STATEMENT_SECONDS + 5.0


@asynccontextmanager
async def _slow_connection(platform: Platform) -> AsyncIterator[Connection]:
    """A connection of its own, on which a count may take as long as a job may."""
    connection = await _SlowConnection.connect(
        libpq_url(platform.settings.database_url),
        autocommit=True,
        connect_timeout=5,
        application_name="bugrelay-totals",
        options=f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout=5s -c timezone=UTC"
        " -c work_mem=32MB -c jit=off -c max_parallel_workers_per_gather=0",
    )
    async with connection:
        yield connection
