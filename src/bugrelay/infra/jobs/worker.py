"""Serves the queues: takes jobs, requeues those of workers that are gone, and goes on when PostgreSQL is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from procrastinate import App, PsycopgConnector

from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.jobs.back_off import BackOff
from bugrelay.infra.jobs.execution import by_clock, on_request
from bugrelay.infra.jobs.queue import DEFAULT_QUEUE, MAIL_QUEUE, NOTICE_QUEUE, SILENT_SECONDS
from bugrelay.infra.jobs.stalled import requeue_stalled
from bugrelay.infra.jobs.tasks import Continuous, Tasks

CONCURRENCY = 4  # jobs at once, of each queue
QUEUE_CONNECTIONS = 3  # of each queue, beside the one that listens; a job that runs holds none of them
HEARTBEAT_SECONDS = 2.0
POLL_SECONDS = 2.0
STOP_SECONDS = 10.0
RESTART_SECONDS = 1.0
FAILED_KEPT_HOURS = 30 * 24

log = structlog.get_logger()


async def run_worker(database_url: str, tasks: Tasks, platform: Any, *, stopping: asyncio.Event) -> None:
    """Run jobs until `stopping` is set; what has begun is given time to finish.

    While PostgreSQL is away it waits, and goes on by itself.
    """
    # It would log the exceptions of jobs with all they say, and so the addresses that mail servers repeat.
    logging.getLogger("procrastinate.worker").setLevel(logging.CRITICAL)
    logging.getLogger("procrastinate.worker.worker").setLevel(logging.ERROR)
    stopped = asyncio.create_task(stopping.wait())
    continuous = [
        asyncio.create_task(_run_continuously(name, task, platform, stopping=stopping))
        for name, task in tasks.continuous.items()
    ]
    told = ""
    while not stopping.is_set():
        serving = asyncio.create_task(_serve_queues(database_url, tasks, platform))
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        (outcome,) = await cancel(serving, again_after_seconds=3 * STOP_SECONDS)
        if not stopping.is_set():
            cause = repr(outcome)[:300]
            if cause != told:  # once, not each second of an outage
                log.warning("worker_interrupted", cause=cause)
            told = cause
            await asyncio.wait((stopped,), timeout=RESTART_SECONDS)
    await asyncio.gather(*continuous)


async def _run_continuously(name: str, task: Continuous, platform: Any, *, stopping: asyncio.Event) -> None:
    """Run a task until the worker stops, and again a moment after it has failed: the database may be away."""
    told = ""
    while not stopping.is_set():
        try:
            await task(platform, stopping)
        except Exception as error:  # noqa: BLE001 - whatever it was, trying goes on
            cause = repr(error.__cause__ or error)[:300]
            if cause != told:  # once, not each second of an outage
                log.warning("task_interrupted", task=name, cause=cause)
            told = cause
            with suppress(TimeoutError):
                async with asyncio.timeout(RESTART_SECONDS):
                    await stopping.wait()


async def _serve_queues(database_url: str, tasks: Tasks, platform: Any) -> None:
    """Serve every queue until one of them fails, or until it is cancelled."""
    # The pool would look for an absent server half a minute before it says so.
    await (await psycopg.AsyncConnection.connect(libpq_url(database_url), connect_timeout=5)).close()
    by_the_clock = [_serve_queue(_app(database_url, tasks, platform), DEFAULT_QUEUE)]
    without_clock = Tasks(by_name=tasks.by_name)
    mails = [
        _serve_queue(_app(database_url, without_clock, platform), queue)
        for queue in (MAIL_QUEUE, NOTICE_QUEUE)
    ]
    serving = [asyncio.create_task(queue) for queue in by_the_clock + mails]
    try:
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        outcomes = await cancel(*serving, again_after_seconds=STOP_SECONDS + 1)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def cancel(*tasks: asyncio.Task[None], again_after_seconds: float) -> list[BaseException | None]:
    """Cancel tasks, wait for their end, and give what each of them ended with.

    A cancellation can get lost in what a task waits for at that moment, and the task would run on for ever: one that
    has not ended by then is cancelled again.
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
    for name, task in tasks.by_name.items():
        app.task(name=name, retry=BackOff(), pass_context=True)(on_request(task, platform))
    for name, periodic in tasks.periodic.items():
        run = app.task(name=name, queueing_lock=name, pass_context=True)(by_clock(periodic.task, platform))
        app.periodic(cron=periodic.cron)(run)
    if tasks.periodic:
        forget = app.task(name="jobs.forget_failed", queueing_lock="jobs.forget_failed")(_forget_failed(app))
        app.periodic(cron="29 * * * *")(forget)
    return app


def _forget_failed(app: App) -> Callable[..., Awaitable[None]]:
    async def run(timestamp: int) -> None:  # noqa: ARG001 - the queue hands it over
        await app.job_manager.delete_old_jobs(
            FAILED_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    return run
