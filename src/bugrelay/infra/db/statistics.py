"""The planner's statistics of a table: its common values, with the estimated number of rows that have them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text

from bugrelay.infra.db.query import Query, Reader, Row

FRESH_SECONDS = 60.0


class _CommonValue(Row):
    column: str
    value: str
    hits: float


# Elements for columns of arrays and tsvectors, values for all others.
_COMMON = Query(
    text(
        "SELECT s.attname AS column, e.value, e.share * c.reltuples AS hits FROM pg_class c"
        " JOIN pg_stats s ON s.schemaname = 'public' AND s.tablename = c.relname,"
        " unnest(coalesce(s.most_common_elems, s.most_common_vals)::text::text[],"
        " coalesce(s.most_common_elem_freqs, s.most_common_freqs)) AS e(value, share)"
        " WHERE c.oid = CAST(:table AS regclass) AND e.value IS NOT NULL AND e.share * c.reltuples >= :least"
    ),
    _CommonValue,
)
_ALL = Query(text("SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = CAST(:table AS regclass)"), float)


@dataclass(frozen=True)
class Common:
    """The estimated number of rows of a table, and of those that have a common value, by column and value."""

    rows: float
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Statistics:
    """The statistics of tables, cached for a minute; they change only when PostgreSQL analyses a table."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[float, Common]] = {}
        self._first_read = asyncio.Lock()

    async def common(self, reader: Reader, table: str, *, least: int) -> Common:
        """The statistics of a table; values that fewer than `least` rows have are left out."""
        if table not in self._read:
            async with self._first_read:
                if table not in self._read:
                    await self._refresh(reader, table, least)
        read_at, common = self._read[table]
        if time.monotonic() - read_at >= FRESH_SECONDS:
            self._read[table] = (time.monotonic(), common)  # other callers use the old values meanwhile
            await self._refresh(reader, table, least)
        return self._read[table][1]

    async def _refresh(self, reader: Reader, table: str, least: int) -> None:
        self._read[table] = (time.monotonic(), await read_common(reader, table, least=least))


async def read_common(reader: Reader, table: str, *, least: int) -> Common:
    """Read the current statistics of a table."""
    (rows,) = await reader.rows(_ALL, {"table": table})
    values: dict[str, dict[str, float]] = {}
    if rows >= least:
        for common in await reader.rows(_COMMON, {"table": table, "least": least}):
            values.setdefault(common.column, {})[common.value] = common.hits
    return Common(rows, values)
