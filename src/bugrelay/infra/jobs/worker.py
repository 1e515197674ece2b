"""The worker: runs jobs of all queues, requeues those of lost workers, and resumes when PostgreSQL is back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from procrastinate import App, PsycopgConnector

from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.jobs.back_off import BackOff
from bugrelay.infra.jobs.execution import periodic_job, requested_job
from bugrelay.infra.jobs.queue import DEFAULT_QUEUE, MAIL_QUEUE, NOTICE_QUEUE, SILENT_SECONDS
from bugrelay.infra.jobs.stalled import requeue_stalled
from bugrelay.infra.jobs.tasks import Continuous, Tasks

CONCURRENCY = 4  # jobs at once in each queue
QUEUE_CONNECTIONS = 3  # of each queue, besides the one that listens; running jobs hold none of them
HEARTBEAT_SECONDS = 2.0
POLL_SECONDS = 2.0
STOP_SECONDS = 10.0
RESTART_SECONDS = 1.0
FAILED_KEPT_HOURS = 30 * 24
_DELETE_FAILED = "jobs.delete_failed"

log = structlog.get_logger()


async def run_worker(database_url: str, tasks: Tasks, platform: Any, *, stopping: asyncio.Event) -> None:
    """Run jobs until `stopping` is set; running jobs then have `STOP_SECONDS` to finish.

    While PostgreSQL is down it retries, and resumes by itself.
    """
    # These loggers would log exceptions of jobs in full, including addresses that mail servers repeat.
    logging.getLogger("procrastinate.worker").setLevel(logging.CRITICAL)
    logging.getLogger("procrastinate.worker.worker").setLevel(logging.ERROR)
    stopped = asyncio.create_task(stopping.wait())
    continuous = [
        asyncio.create_task(_run_continuously(name, task, platform, stopping=stopping))
        for name, task in tasks.continuous.items()
    ]
    logged = ""
    while not stopping.is_set():
        serving = asyncio.create_task(_serve_queues(database_url, tasks, platform))
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        (outcome,) = await cancel(serving, again_after_seconds=3 * STOP_SECONDS)
        if not stopping.is_set():
            cause = repr(outcome)[:300]
            if cause != logged:  # once, not each second of an outage
                log.warning("worker_interrupted", cause=cause)
            logged = cause
            await asyncio.wait((stopped,), timeout=RESTART_SECONDS)
    await asyncio.gather(*continuous)


async def _run_continuously(name: str, task: Continuous, platform: Any, *, stopping: asyncio.Event) -> None:
    """Run a task until the worker stops; restart it a second after a failure: the database may be down."""
    logged = ""
    while not stopping.is_set():
        try:
            await task(platform, stopping)
        except Exception as error:  # noqa: BLE001 - whatever it was, the task is restarted
            cause = repr(error.__cause__ or error)[:300]
            if cause != logged:  # once, not each second of an outage
                log.warning("task_interrupted", task=name, cause=cause)
            logged = cause
            with suppress(TimeoutError):
                async with asyncio.timeout(RESTART_SECONDS):
                    await stopping.wait()


async def _serve_queues(database_url: str, tasks: Tasks, platform: Any) -> None:
    """Serve every queue until one of them fails, or until it is cancelled."""
    # This fails at once if the server is down; the pool would retry for half a minute.
    await (await psycopg.AsyncConnection.connect(libpq_url(database_url), connect_timeout=5)).close()
    default = [_serve_queue(_app(database_url, tasks, platform), DEFAULT_QUEUE)]
    without_periodic = Tasks(by_name=tasks.by_name, former_names=tasks.former_names)
    mails = [
        _serve_queue(_app(database_url, without_periodic, platform), queue)
        for queue in (MAIL_QUEUE, NOTICE_QUEUE)
    ]
    serving = [asyncio.create_task(queue) for queue in default + mails]
    try:
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        outcomes = await cancel(*serving, again_after_seconds=STOP_SECONDS + 1)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def cancel(*tasks: asyncio.Task[None], again_after_seconds: float) -> list[BaseException | None]:
    """Cancel tasks, wait for their end, and return the exception of each, or None.

    A cancellation can be lost in what a task awaits at that moment, and the task would run for ever: tasks that have
    not ended after `again_after_seconds` are cancelled again.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_after_seconds)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _serve_queue(app: App, queue: str) -> None:
    requeueing: asyncio.Task[None] | None = None
    try:
        await app.open_async()
        requeueing = asyncio.create_task(requeue_stalled(app))
        await app.run_worker_async(
            name=queue,
            queues=[queue],
            install_signal_handlers=False,
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=POLL_SECONDS,
            shutdown_graceful_timeout=STOP_SECONDS,
            delete_jobs="successful",
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=SILENT_SECONDS,
        )
    finally:
        if requeueing is not None:
            requeueing.cancel()
        await app.close_async()


def _app(database_url: str, tasks: Tasks, platform: Any) -> App:
    connector = PsycopgConnector(
        conninfo=libpq_url(database_url),
        min_size=1,
        max_size=QUEUE_CONNECTIONS,
        timeout=5,
        kwargs={
            "connect_timeout": 5,
            "application_name": "bugrelay-worker",
            "options": "-c statement_timeout=10s -c lock_timeout=5s -c timezone=UTC",
        },
    )
    app = App(connector=connector, periodic_defaults={"max_delay": 600})
    aliases = {name: [former] for name, former in tasks.former_names.items()}
    for name, task in tasks.by_name.items():
        run = requested_job(task, platform)
        app.task(name=name, aliases=aliases.get(name), retry=BackOff(), pass_context=True)(run)
    for name, periodic in tasks.periodic.items():
        run = periodic_job(periodic.task, platform)
        job = app.task(name=name, aliases=aliases.get(name), queueing_lock=name, pass_context=True)(run)
        app.periodic(cron=periodic.cron)(job)
    if tasks.periodic:
        _add_deletion_of_failed(app, aliases=aliases.get(_DELETE_FAILED))
    return app


def _add_deletion_of_failed(app: App, *, aliases: list[str] | None) -> None:
    @app.periodic(cron="29 * * * *")
    @app.task(name=_DELETE_FAILED, aliases=aliases, queueing_lock=_DELETE_FAILED)
    async def delete_failed(timestamp: int) -> None:  # noqa: ARG001 - the queue passes it
        await app.job_manager.delete_old_jobs(
            FAILED_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )
