"""The periodic job that folds changes into the index of similar bugs."""

from __future__ import annotations

import time

from sqlalchemy import text

from bugrelay.infra.platform import Platform

BATCH = 500  # changes in each transaction
RUN_SECONDS = 60  # after which the next run continues; a job is aborted after twice that


async def fold_similar(platform: Platform) -> None:
    """Fold pending changes into the index, each batch in its own transaction; idempotent, and safe with other workers.

    This also fills the index of a board that had none.
    """
    began = time.monotonic()
    while time.monotonic() - began < RUN_SECONDS:
        async with platform.work() as work:
            await work.set_timeouts(statement_seconds=60, lock_seconds=10)
            folded = await work.session.scalar(text("SELECT similar_fold(:most)"), {"most": BATCH})
        if not folded or folded < BATCH:
            return
