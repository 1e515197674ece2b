"""One run of a job: its deadline, the id of the request that added it, and the log line of its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job

from bugrelay.infra.jobs.back_off import is_last_attempt
from bugrelay.infra.jobs.queue import REQUEST_ID
from bugrelay.infra.jobs.tasks import Task

JOB_SECONDS = 120.0  # then a job is cancelled, and retried like any that failed

log = structlog.get_logger()


def requested_job(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    """The function that the queue calls for a job that was added; a failure is retried."""

    async def run(context: JobContext, **arguments: Any) -> None:
        request_id = arguments.pop(REQUEST_ID, None)
        await _run(context.job, task(platform, **arguments), request_id=request_id, retried=True)

    return run


def periodic_job(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    """The function that the queue calls for a periodic task; a failure is not retried before its next time."""

    async def run(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - the queue passes it
        await _run(context.job, task(platform), request_id=None, retried=False)

    return run


async def _run(job: Job, work: Awaitable[None], *, request_id: str | None, retried: bool) -> None:
    """Run one job and log its outcome. Its log lines and the jobs that it adds have the id of the request, too."""
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
            _log_failure(facts, repr(error)[:300], last=retried and is_last_attempt(job))
            raise
        log.info("job_done", **facts, ms=_ms_since(began))


def _log_failure(facts: Mapping[str, Any], cause: str, *, last: bool) -> None:
    log.warning("job_failed", **facts, cause=cause)
    if last:
        log.error("job_given_up", **facts)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
