"""One run of a job: its deadline, the request it is done for, and the log line of how it ended."""

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

JOB_SECONDS = 120.0  # then a job is given up, and tried again like any that failed

log = structlog.get_logger()


def on_request(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    """What the queue calls for a job that somebody asked for."""

    async def run(context: JobContext, **arguments: Any) -> None:
        request_id = arguments.pop(REQUEST_ID, None)
        await _run(context.job, task(platform, **arguments), request_id=request_id, retried=True)

    return run


def by_clock(task: Task, platform: Any) -> Callable[..., Awaitable[None]]:
    """What the queue calls for a task that runs by the clock; it is not tried again, it comes again."""

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
            _log_failure(facts, repr(error)[:300], last=retried and is_last_attempt(job))
            raise
        log.info("job_done", **facts, ms=_ms_since(began))


def _log_failure(facts: Mapping[str, Any], cause: str, *, last: bool) -> None:
    log.warning("job_failed", **facts, cause=cause)
    if last:
        log.error("job_given_up", **facts)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
