"""The back-off of failed jobs."""

from __future__ import annotations

import random

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job
from procrastinate.types import TimeDeltaParams

MAX_ATTEMPTS = 16  # over about a day
FIRST_PAUSE_SECONDS = 5
MAX_PAUSE_SECONDS = 6 * 3600


def is_last_attempt(job: Job) -> bool:
    """Whether this is the last attempt; `job.attempts` counts those before this one."""
    return job.attempts + 1 >= MAX_ATTEMPTS


class BackOff(BaseRetryStrategy):
    """Exponential back-off with jitter, so that jobs that failed together are not retried together."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if is_last_attempt(job):
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2**job.attempts, MAX_PAUSE_SECONDS)
        params: TimeDeltaParams = {"seconds": int(pause + random.uniform(0, pause / 4))}  # noqa: S311 - not a secret
        return RetryDecision(retry_in=params)
