"""What has happened without an event gets one: what there was before the log, and what a former release writes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bugrelay.domain.events import missing
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform

BATCH = 200  # events a transaction, whose streams are locked
RUN_SECONDS = 60  # then the next run goes on: a job is given up after twice that
FORMER_RELEASE = timedelta(days=1)  # that it serves beside this one, at most


async def list_missing_events(platform: Platform) -> None:
    """List what a release without a log has written beside this one."""
    async with platform.work() as work:
        await work.set_timeouts(statement_seconds=60, lock_seconds=10)
        await missing.list_since(work, datetime.now(UTC) - FORMER_RELEASE)


async def record_missing_events(platform: Platform) -> None:
    """Write what is listed into the log, a batch a transaction. No consumer is given it: it is no news."""
    began = time.monotonic()
    while time.monotonic() - began < RUN_SECONDS:
        async with platform.work() as work:
            recorded = await missing.record(work, most=BATCH)
        if recorded == 0:
            return


TASKS = Tasks(
    periodic={
        "events.list_missing": Periodic("41 * * * *", list_missing_events),
        "events.record_missing": Periodic("* * * * *", record_missing_events),
    }
)
