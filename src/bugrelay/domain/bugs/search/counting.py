"""The job that counts what is too much to count while somebody waits, and keeps these totals.

What the planner's statistics call common is counted before anybody asks and kept in a table, carried forward every
minute; what is asked for besides is counted at once, and kept for a day. docs/adr/0016.
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

MAX_COMMON = 300  # totals that are kept whether anybody asks or not

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
            # Tiers and stop words are no words that people type.
            if column == "document" and value[0] not in "^=":
                yield hits, BoundQuery(QuerySpec(searching=True), {"search": quoted(value)}).total_key
            elif column == "tags":
                yield hits, BoundQuery(QuerySpec(("tags",)), {"tags": [value]}).total_key
            elif name := _FILTERS.get(column):
                yield hits, BoundQuery(QuerySpec((name,)), {name: value}).total_key


async def keep_totals(*, database_url: str, counts: IncrementalCounts) -> None:
    """Carry the kept totals forward, then count the common ones that are not kept yet."""
    async with KEPT.round(database_url=database_url) as reader:
        if reader is None:
            return
        began = time.monotonic()
        common = await read_common(reader, TABLE, least=incremental_counts.MAX_COUNTED_HERE)
        wanted = _common_keys(common)
        await KEPT.forget(reader, but=wanted)
        kept = await KEPT.keys(reader)
        missing = [key for key in kept if not await KEPT.carry(reader, key, counts=counts)]
        missing += [key for key in wanted if key not in set(kept)]
        for key in missing:
            if time.monotonic() - began > ROUND_SECONDS:
                return
            await KEPT.count(reader, key, counts=counts)
