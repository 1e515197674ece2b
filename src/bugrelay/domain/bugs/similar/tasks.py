"""Keep the index of similar bugs up: fold what has changed, by the clock."""

from __future__ import annotations

import time

from sqlalchemy import text

from bugrelay.infra.platform import Platform

BATCH = 500  # changes a transaction
RUN_SECONDS = 60  # then the next run goes on: a job is given up after twice that


async def fold_similar(platform: Platform) -> None:
    """Fold pending changes into the index, a batch a transaction; again without harm, and beside other workers.

    A board that had no index yet is filled by this, too.
    """
    began = time.monotonic()
    while time.monotonic() - began < RUN_SECONDS:
        async with platform.work() as work:
            await work.set_timeouts(statement_seconds=60, lock_seconds=10)
            folded = await work.session.scalar(text("SELECT similar_fold(:most)"), {"most": BATCH})
        if not folded or folded < BATCH:
            return
