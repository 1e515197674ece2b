"""One worker process: runs the jobs of all domains until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

import structlog

from bugrelay.bootstrap import DOMAINS, build
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.jobs.worker import run_worker
from bugrelay.infra.logging import configure_service_logging
from bugrelay.settings import Settings

# Whatever servers may hold. Jobs are one route to the bulkhead, so they take a third of it, twelve connections.
DATABASE_POOL = 36

log = structlog.get_logger()


def all_tasks() -> Tasks:
    """The tasks of every domain."""
    return Tasks(
        by_name={name: task for domain in DOMAINS for name, task in domain.tasks.by_name.items()},
        periodic={name: periodic for domain in DOMAINS for name, periodic in domain.tasks.periodic.items()},
    )


async def work(settings: Settings) -> None:
    """Run jobs; a signal lets what has begun finish."""
    configure_service_logging()
    for doubt in settings.doubts:
        log.warning("setting_doubtful", meaning=doubt)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    platform = build(replace(settings, database_pool=DATABASE_POOL, workers=1))
    await platform.start()
    log.info("worker_started")
    try:
        await run_worker(settings.database_url, all_tasks(), platform, stopping=stopping)
    finally:
        await platform.close()
        log.info("worker_stopped")
