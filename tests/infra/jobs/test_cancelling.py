"""A worker that is stopped ends, also if a library swallows the cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bugrelay.infra.jobs.worker import cancel


async def test_a_task_that_lost_its_cancellation_is_cancelled_again() -> None:
    waiting = asyncio.Event()
    ended = []

    async def deaf() -> None:
        waiting.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("deaf")

    task = asyncio.create_task(deaf())
    await waiting.wait()
    (outcome,) = await cancel(task, again_after_seconds=0.01)
    assert isinstance(outcome, asyncio.CancelledError)
    assert ended == ["deaf"]


async def test_the_outcome_of_a_task_is_returned() -> None:
    async def fails() -> None:
        raise ValueError("why")

    failing = asyncio.create_task(fails())
    await asyncio.wait((failing,))
    (outcome,) = await cancel(failing, again_after_seconds=0.01)
    assert isinstance(outcome, ValueError)
