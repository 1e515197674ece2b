"""Items of one key go in batches, one after the other; nobody gets another's result, and a failure ends with its batch."""

from __future__ import annotations

import asyncio

import pytest

from bugrelay.infra.coalescing import MAX_BATCH_SIZE, Coalescer


class Work:
    """Doubles numbers, and remembers in which company they came.

    `permits`: how many batches may end; `permits.release()` lets one more.
    """

    def __init__(self, *, permits: int = 0) -> None:
        self.coalescer = Coalescer()
        self.permits = asyncio.Semaphore(permits)
        self.done: list[list[int]] = []
        self.under_way = 0

    async def double(self, numbers: list[int]) -> list[int]:
        assert self.under_way == 0
        self.under_way += 1
        self.done.append(numbers)
        async with asyncio.timeout(30):
            await self.permits.acquire()
        self.under_way -= 1
        if 13 in numbers:
            raise ArithmeticError
        return [number * 2 for number in numbers]

    async def begun(self) -> None:
        """Until a batch is under way."""
        while not self.under_way:
            await asyncio.sleep(0)

    def add(self, number: int, key: str = "a") -> asyncio.Task[int]:
        return asyncio.create_task(self.coalescer.add(key, number, self.double))


async def test_work_that_arrives_during_a_batch_joins_the_next() -> None:
    work = Work()
    first = work.add(1)
    await work.begun()
    others = work.add(2), work.add(3)
    await asyncio.sleep(0)
    work.permits.release()
    work.permits.release()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert work.done == [[1], [2, 3]]
    work.permits.release()
    assert await work.add(4) == 8
    assert work.done[-1] == [4]


async def test_a_batch_has_a_maximum_size() -> None:
    work = Work(permits=3)
    numbers = range(100, 100 + 2 * MAX_BATCH_SIZE + 1)
    assert await asyncio.gather(*map(work.add, numbers)) == [number * 2 for number in numbers]
    assert [number for batch in work.done for number in batch] == list(numbers)
    assert max(map(len, work.done)) == MAX_BATCH_SIZE


async def test_keys_do_not_wait_for_each_other() -> None:
    coalescer = Coalescer()
    held = asyncio.Event()

    async def wait(items: list[str]) -> list[str]:
        await held.wait()
        return items

    async def at_once(items: list[str]) -> list[str]:
        return items

    slow = asyncio.create_task(coalescer.add("slow", "x", wait))
    assert await coalescer.add("quick", "y", at_once) == "y"
    held.set()
    assert await slow == "x"


async def test_an_error_affects_only_its_batch() -> None:
    work = Work()
    first = work.add(1)
    await work.begun()
    unlucky = [work.add(13), work.add(2)]
    await asyncio.sleep(0)
    work.permits.release()
    assert await first == 2
    after = work.add(3)
    await asyncio.sleep(0)
    work.permits.release()
    work.permits.release()
    results = await asyncio.gather(*unlucky, return_exceptions=True)
    assert [type(result) for result in results] == [ArithmeticError, ArithmeticError]
    assert await after == 6


async def test_a_cancelled_caller_does_not_affect_others() -> None:
    work = Work()
    under_way = work.add(1)
    await work.begun()
    second, third = work.add(2), work.add(3)
    await asyncio.sleep(0)
    under_way.cancel()
    second.cancel()
    work.permits.release()
    work.permits.release()
    assert await third == 6
    with pytest.raises(asyncio.CancelledError):
        await second
    assert work.done == [[1], [3]]
