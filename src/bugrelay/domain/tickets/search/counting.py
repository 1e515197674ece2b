"""The periodic job that updates kept totals."""

from __future__ import annotations

import time

from bugrelay.domain.tickets.search.totals import KEPT
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.kept_totals import ROUND_SECONDS


async def keep_totals(*, database_url: str, counts: IncrementalCounts) -> None:
    """Update the kept totals; those that were not used for a day are deleted."""
    async with KEPT.round(database_url=database_url) as reader:
        if reader is None:
            return
        began = time.monotonic()
        await KEPT.delete_unused(reader)
        for key in await KEPT.keys(reader):
            if not await KEPT.carry(reader, key, counts=counts):
                await KEPT.count(reader, key, counts=counts)
            if time.monotonic() - began > ROUND_SECONDS:
                return
