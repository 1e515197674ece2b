"""A worker process: runs the jobs of all domains and the consumers of the event log, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bugrelay.bootstrap import DOMAINS, build
from bugrelay.domain.events.consumers import Consumer, follow
from bugrelay.domain.events.log import CHANNEL
from bugrelay.infra.events import Cause, cause
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.jobs.worker import STOP_SECONDS, cancel, run_worker
from bugrelay.infra.logging import configure_service_logging
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.subscription import Subscription
from bugrelay.settings import Settings

# Independent of the servers' setting. All jobs share one bulkhead, a third of the pool: twelve connections.
DATABASE_POOL = 36

log = structlog.get_logger()


# The names under which the previous release queues jobs: this one runs them, too. A worker of the previous release that
# gets a job under a new name fails, without a retry. So only tasks that a periodic job makes up for are renamed.
FORMER_NAMES = {
    "bugs.record_vote_counts": "bugs.tell_votes",
    "companies.delete_expired_claims": "companies.forget_expired_claims",
    "companies.delete_expired_invitations": "companies.forget_expired_invitations",
    "github.delete_expired": "github.forget",
    "github.reencrypt_secrets": "github.encrypt_anew",
    "jobs.delete_failed": "jobs.forget_failed",
    "notifications.delete_expired_contacts": "notifications.forget_contacts",
    "rules.delete_old_runs": "rules.forget_old_runs",
    "support.delete_old": "support.forget_old",
    "tickets.delete_unfinished_uploads": "tickets.forget_unfinished_uploads",
    "webhooks.delete_deliveries": "webhooks.forget_deliveries",
    "webhooks.delete_old_deliveries": "webhooks.forget_old_deliveries",
    "webhooks.reencrypt_secrets": "webhooks.encrypt_anew",
}


def all_tasks() -> Tasks:
    """The tasks of every domain."""
    return Tasks(
        by_name={name: task for domain in DOMAINS for name, task in domain.tasks.by_name.items()},
        periodic={name: periodic for domain in DOMAINS for name, periodic in domain.tasks.periodic.items()},
        continuous={name: task for domain in DOMAINS for name, task in domain.tasks.continuous.items()},
        former_names=FORMER_NAMES,
    )


def all_consumers(platform: Platform) -> list[Consumer]:
    """The consumers of the event log of all domains."""
    return [
        consumer
        for domain in DOMAINS
        if domain.consumers is not None
        for consumer in domain.consumers(platform)
    ]


async def follow_events(platform: Platform, consumers: Sequence[Consumer]) -> None:
    """Run the consumers of the event log until cancelled."""
    woken = asyncio.Event()
    notifications = Subscription(
        platform.settings.redis_url, f"{CHANNEL}*", lambda _channel, _number: woken.set()
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(notifications.listen())
        group.create_task(follow(consumers, work=platform.work, database=platform.database, woken=woken))


async def work(settings: Settings) -> None:
    """Run jobs and consumers; after a signal, jobs that have started are finished."""
    configure_service_logging()
    cause.set(Cause("system"))
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
    following = asyncio.create_task(follow_events(platform, all_consumers(platform)))
    following.add_done_callback(
        lambda _: stopping.set()
    )  # without consumers, the worker exits to be restarted
    try:
        await run_worker(settings.database_url, all_tasks(), platform, stopping=stopping)
    finally:
        await cancel(following, again_after_seconds=STOP_SECONDS)
        await platform.close()
        log.info("worker_stopped")
