"""Jobs that write missing events: of the time before the log, and of an older release beside this one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bugrelay.domain.events import missing
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform

BATCH = 200  # events in one transaction, which locks their streams
RUN_SECONDS = 60  # then the next run continues; a job is cancelled after twice that
FORMER_RELEASE = timedelta(days=1)  # for which it runs beside this one, at most


async def list_missing_events(platform: Platform) -> None:
    """List what a release without a log has written while it runs beside this one."""
    async with platform.work() as work:
        await work.set_timeouts(statement_seconds=60, lock_seconds=10)
        await missing.list_since(work, datetime.now(UTC) - FORMER_RELEASE)


async def record_missing_events(platform: Platform) -> None:
    """Write the list into the log, a batch in each transaction. Consumers do not receive these events."""
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
