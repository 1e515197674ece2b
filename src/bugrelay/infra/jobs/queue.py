"""Jobs: a job is a row in the transaction of the change that asks for it, so neither is kept without the other.

procrastinate on the same PostgreSQL (docs/adr/0007). A server process only adds rows; `bugrelay worker` runs them, at
least once each: a job that was cut off by a kill is rescued and runs again, so jobs are written to be repeated.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job
from procrastinate.types import TimeDeltaParams
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.infra.db.database import Query, Reader, driver_connection, libpq_url

log = structlog.get_logger()

# Mails have places of their own: while the mail server hangs, everything else goes on.
DEFAULT_QUEUE, MAIL_QUEUE = "default", "mail"
CONCURRENCY = 4  # jobs at once, of each queue
QUEUE_CONNECTIONS = 3  # of each queue, beside the one that listens; a job that runs holds none of them
MAX_ATTEMPTS = 16  # over about a day
FIRST_PAUSE_SECONDS = 5
MAX_PAUSE_SECONDS = 6 * 3600
JOB_SECONDS = 120.0  # then a job is given up, and tried again like any that failed
HEARTBEAT_SECONDS = 2.0
REQUEUE_AFTER_SECONDS = 10.0
POLL_SECONDS = 2.0
STOP_SECONDS = 10.0
RESTART_SECONDS = 1.0
FAILED_KEPT_HOURS = 30 * 24
REQUEST_ID = "request_id"  # the argument that is for the log, and that no task is called with

Task: TypeAlias = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Periodic:
    """A task that runs by the clock (cron syntax), once however many workers there are."""

    cron: str
    task: Task


@dataclass(frozen=True)
class Tasks:
    """What a domain runs in workers: tasks by name, called with the platform and the arguments of the job."""

    by_name: Mapping[str, Task] = field(default_factory=dict)
    periodic: Mapping[str, Periodic] = field(default_factory=dict)


class BackOff(BaseRetryStrategy):
    """Doubling pauses, spread a little so that jobs that failed together do not return together."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if job.attempts + 1 >= MAX_ATTEMPTS:
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2**job.attempts, MAX_PAUSE_SECONDS)
        params: TimeDeltaParams = {"seconds": int(pause + random.uniform(0, pause / 4))}  # noqa: S311 - not a secret
        return RetryDecision(retry_in=params)


_SERVED = Query(
    text(
        "SELECT FROM procrastinate_workers"
        f" WHERE last_heartbeat > now() - interval '{REQUEUE_AFTER_SECONDS:g} seconds' LIMIT 1"
    )
)


class JobQueue:
    """Adds jobs. The queue's own pool is never opened here: rows go through the caller's connection."""

    def __init__(self, database_url: str) -> None:
        self._app = App(connector=PsycopgConnector(conninfo=libpq_url(database_url)))

    async def add(
        self, session: AsyncSession, name: str, *, queue: str = DEFAULT_QUEUE, **arguments: Any
    ) -> None:
        """Add a job in the session's transaction.

        Args:
            session: Whose transaction.
            name: Of the task.
            queue: `MAIL_QUEUE` for what sends a mail.
            arguments: JSON, without secrets and addresses. The id of the request that asks goes with them, for the log.

        Raises:
            psycopg.Error: The database did not take it; the unit of work knows what that means.
        """
        await session.flush()
        connection = await driver_connection(session)
        job = self._app.configure_task(name, queue=queue, connection=connection)
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id is not None:
            arguments[REQUEST_ID] = request_id
        try:
            await job.defer_async(**arguments)
        except ConnectorException as error:
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from None
            raise

    async def is_served(self, reader: Reader) -> bool:
        """Whether a worker was there a moment ago: one that would begin with a new job at once."""
        return await reader.row(_SERVED) is not None


async def run_worker(database_url: str, tasks: Tasks, platform: Any, *, stopping: asyncio.Event) -> None:
    """Run jobs until `stopping` is set; what has begun is given time to finish.

    While PostgreSQL is away it waits, and goes on by itself.
    """
    # It would log the exceptions of jobs with all they say, and so the addresses that mail servers repeat.
    logging.getLogger("procrastinate.worker").setLevel(logging.CRITICAL)
    logging.getLogger("procrastinate.worker.worker").setLevel(logging.ERROR)
    stopped = asyncio.create_task(stopping.wait())
    told = ""
    while not stopping.is_set():
        serving = asyncio.create_task(_serve_queues(database_url, tasks, platform))
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        (outcome,) = await asyncio.gather(serving, return_exceptions=True)
        if not stopping.is_set():
            cause = repr(outcome)[:300]
            if cause != told:  # once, not each second of an outage
                log.warning("worker_interrupted", cause=cause)
            told = cause
            await asyncio.wait((stopped,), timeout=RESTART_SECONDS)


async def _serve_queues(database_url: str, tasks: Tasks, platform: Any) -> None:
    """Serve every queue until one of them fails, or until it is cancelled."""
    # The pool would look for an absent server half a minute before it says so.
    await (await psycopg.AsyncConnection.connect(libpq_url(database_url), connect_timeout=5)).close()
    by_the_clock = [_serve_queue(_app(database_url, tasks, platform), DEFAULT_QUEUE)]
    without_clock = Tasks(by_name=tasks.by_name)
    mails = [_serve_queue(_app(database_url, without_clock, platform), MAIL_QUEUE)]
    serving = [asyncio.create_task(queue) for queue in by_the_clock + mails]
    try:
        await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in serving:
            task.cancel()
        outcomes = await asyncio.gather(*serving, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _serve_queue(app: App, queue: str) -> None:
    rescuer: asyncio.Task[None] | None = None
    try:
        await app.open_async()
        rescuer = asyncio.create_task(_requeue_stalled(app))
        await app.run_worker_async(
            name=queue,
            queues=[queue],
            install_signal_handlers=False,
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=POLL_SECONDS,
            shutdown_graceful_timeout=STOP_SECONDS,
            delete_jobs="successful",
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=REQUEUE_AFTER_SECONDS,
        )
    finally:
        if rescuer is not None:
            rescuer.cancel()
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
        app.task(name=name, retry=BackOff(), pass_context=True)(_bound(task, platform))
    for name, periodic in tasks.periodic.items():
        run = app.task(name=name, queueing_lock=name, pass_context=True)(_timed(periodic.task, platform))
        app.periodic(cron=periodic.cron)(run)
    if tasks.periodic:
        forget = app.task(name="jobs.forget_failed", queueing_lock="jobs.forget_failed")(_forget_failed(app))
        app.periodic(cron="29 * * * *")(forget)
    return app


def _bound(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    async def run(context: JobContext, **arguments: Any) -> None:
        request_id = arguments.pop(REQUEST_ID, None)
        await _run(context.job, task(platform, **arguments), request_id=request_id, retried=True)

    return run


def _timed(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    async def run(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - the queue hands it over
        await _run(context.job, task(platform), request_id=None, retried=False)

    return run


async def _run(job: Job, work: Awaitable[None], *, request_id: str | None, retried: bool) -> None:
    """Run one job and log how it ended; what it logs and asks for carries the id of the request that asked for it."""
    began = time.perf_counter()
    facts: dict[str, Any] = {"task": job.task_name, "job": job.id, "attempt": job.attempts + 1}
    if request_id is not None:
        facts[REQUEST_ID] = request_id
    with structlog.contextvars.bound_contextvars(**{REQUEST_ID: request_id} if request_id else {}):
        try:
            async with asyncio.timeout(JOB_SECONDS):
                await work
        except Exception as error:
            facts["ms"] = _ms_since(began)
            _log_failure(facts, repr(error)[:300], last=retried and facts["attempt"] >= MAX_ATTEMPTS)
            raise
        log.info("job_done", **facts, ms=_ms_since(began))


def _log_failure(facts: Mapping[str, Any], cause: str, *, last: bool) -> None:
    log.warning("job_failed", **facts, cause=cause)
    if last:
        log.error("job_given_up", **facts)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _forget_failed(app: App) -> Callable[..., Awaitable[None]]:
    async def run(timestamp: int) -> None:  # noqa: ARG001 - the queue hands it over
        await app.job_manager.delete_old_jobs(
            FAILED_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    return run


# A worker that was killed has an old heartbeat, or no row any more. A job that ran for longer than any may, under a
# worker that lives, has lost its outcome: the database was away when it was to be written.
# What runs by the clock (it has a queueing lock) is not repeated, it comes again.
_REQUEUE = """
UPDATE procrastinate_jobs AS stalled
SET status = CASE WHEN queueing_lock IS NULL THEN 'todo' ELSE 'failed' END::procrastinate_job_status,
    attempts = attempts + 1,
    scheduled_at = now()
WHERE id IN (
    SELECT job.id
    FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing'
      AND (
        worker.id IS NULL
        OR worker.last_heartbeat < now() - make_interval(secs => %(rescue_after)s)
        OR (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'started')
            < now() - make_interval(secs => %(longest)s)
      )
    FOR UPDATE OF job SKIP LOCKED
)
RETURNING id, task_name
"""


async def _requeue_stalled(app: App) -> None:
    """Put jobs of workers that were killed back into the queue.

    Not a job itself: the queue cannot be asked to rescue itself while all its places are taken.
    """
    limits = {"rescue_after": REQUEUE_AFTER_SECONDS, "longest": JOB_SECONDS + STOP_SECONDS + 20}
    while True:
        await asyncio.sleep(REQUEUE_AFTER_SECONDS / 4)
        try:
            for job in await app.connector.execute_query_all_async(_REQUEUE, **limits):
                log.info("job_rescued", task=job["task_name"], job=job["id"])
        except ConnectorException as error:  # the database may be away; the next round tries again
            log.warning("rescue_failed", cause=repr(error.__cause__)[:300])
