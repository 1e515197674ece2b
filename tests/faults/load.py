"""Many clients at once against a board, and what they were answered when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.faults.servers import Board

Call = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
PAUSE_SECONDS = 0.05  # between two calls of one client


@dataclass(frozen=True)
class Outcome:
    """`status` is 0 where there was no answer; moments are those of `time.monotonic`."""

    began: float
    ended: float
    status: int
    retry_after: str | None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Record:
    outcomes: list[Outcome] = field(default_factory=list)

    def between(self, begin: float, end: float = float("inf")) -> list[Outcome]:
        """Of the calls that began in this time."""
        return [outcome for outcome in self.outcomes if begin <= outcome.began < end]


@asynccontextmanager
async def load(board: Board, calls: Sequence[Call], *, clients: int) -> AsyncIterator[Record]:
    """Clients that repeat the calls, each beginning with another one, until the block ends."""
    record = Record()
    ending = asyncio.Event()

    async def client(number: int) -> None:
        while not ending.is_set():
            record.outcomes.append(await _outcome(visitor, calls[number % len(calls)]))
            number += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async with board.visitor() as visitor, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
        try:
            yield record
        finally:
            ending.set()


async def _outcome(visitor: httpx.AsyncClient, call: Call) -> Outcome:
    began = time.monotonic()
    try:
        response = await call(visitor)
    except httpx.TransportError:
        return Outcome(began, time.monotonic(), 0, None)
    return Outcome(began, time.monotonic(), response.status_code, response.headers.get("retry-after"))


def reading(path: str) -> Call:
    return lambda visitor: visitor.get(path)
