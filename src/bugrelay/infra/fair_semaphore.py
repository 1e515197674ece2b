"""A semaphore with fair queuing: a caller with many requests waits for its own, and does not delay others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bugrelay.errors import ServiceUnavailable


class FairSemaphore:
    """At most `slots` holders at once, one for each key, and at most `max_waiting` waiting calls of all keys.

    Keys that wait are served round robin. If the queue is full, a call of the key with the most waiting calls is
    dropped (longest queue drop).
    """

    def __init__(self, slots: int, *, max_waiting: int) -> None:
        self._free = slots
        self._max_waiting = max_waiting
        self._holding: set[str] = set()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their turns

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold a slot for the duration of the block.

        Raises:
            ServiceUnavailable: The queue is full.
        """
        if self._free and key not in self._holding:
            self._grant(key)
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._release(key)

    async def _wait(self, key: str) -> None:
        turn = self._join_queue(key)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave_queue(key, turn)
            elif turn.exception() is None:  # It was granted in the same turn of the loop.
                self._release(key)
            raise

    def _join_queue(self, key: str) -> asyncio.Future[None]:
        if sum(map(len, self._waiting.values())) >= self._max_waiting:
            self._make_room_for(key)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        return turn

    def _make_room_for(self, key: str) -> None:
        longest = max(self._waiting.values(), key=len)
        if len(longest) <= len(self._waiting.get(key, ())) + 1:
            raise ServiceUnavailable
        newest = longest.pop()
        if not newest.done():  # else its caller was cancelled in this turn of the loop
            newest.set_exception(ServiceUnavailable())

    def _leave_queue(self, key: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(key, deque())
        if turn in queue:  # else it was passed over already
            queue.remove(turn)
        if not queue:
            self._waiting.pop(key, None)

    def _grant(self, key: str) -> None:
        self._free -= 1
        self._holding.add(key)

    def _release(self, key: str) -> None:
        self._free += 1
        self._holding.remove(key)
        for waiting in list(self._waiting):
            if self._free and waiting not in self._holding:
                self._grant_next_of(waiting)

    def _grant_next_of(self, key: str) -> None:
        queue = self._waiting.pop(key)
        while queue:
            turn = queue.popleft()
            if not turn.done():  # else its caller was cancelled in this turn of the loop
                self._grant(key)
                turn.set_result(None)
                break
        if queue:
            self._waiting[key] = queue  # last in turn
