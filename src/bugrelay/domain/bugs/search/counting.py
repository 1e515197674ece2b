"""The job that counts totals which are too large for a reader, and keeps them in a table.

Totals that are large by the planner's statistics are counted in advance and updated every minute; others are counted
when a reader needs them, and kept for a day after their last use. docs/adr/0016.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bugrelay.domain.bugs.search.planner import BoundQuery, QuerySpec
from bugrelay.domain.bugs.search.totals import KEPT, TABLE
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.statistics import Common, read_common
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.kept_totals import ROUND_SECONDS
from bugrelay.infra.search.parser import quoted

MAX_COMMON = 300  # totals that are counted in advance

# The filter of each column whose values are counted.
_FILTERS = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "assigned_company_id": "company_id",
    "reporter_id": "reporter_id",
}


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
            # Lexemes of rank tiers (`^`) and stop words (`=`) are not words that people type.
            if column == "document" and value[0] not in "^=":
                yield hits, BoundQuery(QuerySpec(searching=True), {"search": quoted(value)}).total_key
            elif column == "tags":
                yield hits, BoundQuery(QuerySpec(("tags",)), {"tags": [value]}).total_key
            elif name := _FILTERS.get(column):
                yield hits, BoundQuery(QuerySpec((name,)), {name: value}).total_key


async def keep_totals(*, database_url: str, counts: IncrementalCounts) -> None:
    """Update the kept totals, then count the common ones that are missing."""
    async with KEPT.round(database_url=database_url) as reader:
        if reader is None:
            return
        began = time.monotonic()
        common = await read_common(reader, TABLE, least=incremental_counts.MAX_COUNTED_HERE)
        wanted = _common_keys(common)
        await KEPT.delete_unused(reader, but=wanted)
        kept = await KEPT.keys(reader)
        missing = [key for key in kept if not await KEPT.carry(reader, key, counts=counts)]
        missing += [key for key in wanted if key not in set(kept)]
        for key in missing:
            if time.monotonic() - began > ROUND_SECONDS:
                return
            await KEPT.count(reader, key, counts=counts)
