"""Blocking work beside the event loop: a few dedicated threads, a bounded queue, a deadline.

The default executor of the loop is shared with name lookups and unbounded. Hashing, pictures and disks have separate
threads, so that a burst of one neither stalls the others nor uses unbounded memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from bugrelay.errors import ServiceUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class BoundedThreads:
    """At most `workers` calls at once and `waiting` more in the queue; a call is given up at the deadline."""

    def __init__(self, name: str, *, workers: int, waiting: int, deadline_seconds: float) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._max_unfinished = workers + waiting
        self._unfinished = 0
        self._counting = threading.Lock()
        self._deadline_seconds = deadline_seconds

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread, in the caller's context, and return its result.

        A queued call that is cancelled or too late never starts; one that is running continues to its end, and keeps
        its thread until then.

        Raises:
            ServiceUnavailable: The queue is full, or the deadline passed.
        """
        with self._counting:
            if self._unfinished >= self._max_unfinished:
                raise ServiceUnavailable
            self._unfinished += 1
        context = copy_context()
        job = self._pool.submit(lambda: context.run(work, *args, **kwargs))
        job.add_done_callback(self._uncount)
        deadline = asyncio.timeout(self._deadline_seconds)
        try:
            async with deadline:
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ServiceUnavailable from error

    def close(self) -> None:
        """Accept no more work; running calls finish, queued ones are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _uncount(self, _job: Future[Any]) -> None:
        with self._counting:
            self._unfinished -= 1
