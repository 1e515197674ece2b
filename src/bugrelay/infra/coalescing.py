"""Coalescing: work for one key is done in batches, one after another; what arrives during a batch is in the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_BATCH_SIZE = 100


class Coalescer:
    """The batches of one process. A single caller waits for nobody."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, key: Hashable, item: T, run: Callable[[list[T]], Awaitable[Sequence[R]]]) -> R:
        """Do the item in a batch, and return its result.

        Args:
            key: Items of one key never run concurrently in this process.
            item: What to do.
            run: Does a batch, and returns a result for each item, in order. An error that it raises goes to all
                callers. It runs in a separate task: a cancelled caller does not affect the others.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((item, future))
        else:
            self._waiting[key] = [(item, future)]
            task = asyncio.create_task(self._work(key, run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _work(self, key: Hashable, run: Callable[[list[Any]], Awaitable[Sequence[Any]]]) -> None:
        try:
            while waiting := self._waiting[key]:
                batch, self._waiting[key] = waiting[:MAX_BATCH_SIZE], waiting[MAX_BATCH_SIZE:]
                await _do([one for one in batch if not one[1].done()], run)
        finally:
            for _, future in self._waiting.pop(key):
                future.cancel()  # only where this task was


async def _do(
    batch: list[tuple[Any, asyncio.Future[Any]]], run: Callable[[list[Any]], Awaitable[Sequence[Any]]]
) -> None:
    if not batch:
        return
    try:
        results = await run([item for item, _ in batch])
    except Exception as error:  # noqa: BLE001 - it is raised, by everybody who waits
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
        return
    for (_, future), result in zip(batch, results, strict=True):
        if not future.done():
            future.set_result(result)
