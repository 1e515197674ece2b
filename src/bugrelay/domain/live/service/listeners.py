"""Who listens: a queue that the hub fills and one task empties."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from bugrelay.domain.live.schemas import Closed, Resync, Update
from bugrelay.errors import ServiceUnavailable

MAX_QUEUED = 256
MAX_QUEUED_BYTES = 1024 * 1024
RETRY_SECONDS = 1.0

Heard = Update | Resync | Closed


class Listener(ABC):
    """One connection. What it misses from before is read page by page as it is taken; then the hub fills its queue.

    Nobody waits for a slow one: over the bounds of its queue all of it is dropped, and a `Resync` takes its place.

    Attributes:
        is_behind: Whether it still reads what it has missed.

    Args:
        position: That it begins behind.
    """

    is_behind = False

    def __init__(self, position: str) -> None:
        self._queue: deque[Update] = deque()
        self._queued_bytes = 0
        self._resync: Resync | None = None
        self._closed: Closed | None = None
        self._news = asyncio.Event()
        self._position = position

    async def next(self) -> Heard:
        """What comes next, when there is something; a caller that is cancelled loses nothing. `Closed` is the last."""
        while (heard := self.next_at_once()) is None:
            if self.is_behind:
                await self._try_to_read_on()
            else:
                self._news.clear()
                await self._news.wait()
        return heard

    def next_at_once(self) -> Heard | None:
        """The same where it is there already."""
        if self._closed is not None:
            return self._closed
        if self._resync is not None:
            resync, self._resync = self._resync, None
            self._position = resync.head
            return resync
        if not self._queue:
            return None
        update = self._queue.popleft()
        self._queued_bytes -= len(update.json)
        self._position = update.position
        return update

    @property
    def position(self) -> str:
        """Where to resume behind all that was taken, and what it was not told in between."""
        if self._queue or self._resync is not None:
            return self._position
        return self._place

    def offer(self, update: Update) -> None:
        """Queue an event that has just been committed."""
        if len(self._queue) >= MAX_QUEUED or self._queued_bytes + len(update.json) > MAX_QUEUED_BYTES:
            self.resync(update.position)
        else:
            self.put(update)

    def offer_all(self, updates: Sequence[Update]) -> None:
        """The same for several, at once where they fit."""
        size = sum(len(update.json) for update in updates)
        if len(self._queue) + len(updates) > MAX_QUEUED or self._queued_bytes + size > MAX_QUEUED_BYTES:
            for update in updates:
                self.offer(update)
        elif updates and self._closed is None:
            self._queue.extend(updates)
            self._queued_bytes += size
            self._news.set()

    def put(self, update: Update) -> None:
        """Queue an event, whatever there is in the queue."""
        if self._closed is None:
            self._queue.append(update)
            self._queued_bytes += len(update.json)
            self._news.set()

    def fall_behind(self) -> None:
        """Something was not told: it is to read by itself from where it is."""
        self.is_behind = True
        self._news.set()

    def resync(self, head: str) -> None:
        """Drop what is queued: it is to load anew what it shows; what follows comes after `head`."""
        self._queue.clear()
        self._queued_bytes = 0
        self._resync = Resync(head)
        self._news.set()

    def end(self, closed: Closed) -> None:
        """Nothing follows, and what is queued is not told any more."""
        self._closed = self._closed or closed
        self._queue.clear()
        self._queued_bytes = 0
        self._news.set()

    async def _try_to_read_on(self) -> None:
        try:
            await self._read_on()
        except ServiceUnavailable:  # it is there again some time, and nothing is lost
            await asyncio.sleep(RETRY_SECONDS)

    @property
    @abstractmethod
    def _place(self) -> str:
        """How far all is read that it may be told."""

    @abstractmethod
    async def _read_on(self) -> None:
        """Read the next page of what it has missed."""

    @abstractmethod
    def close(self) -> None:
        """Listen no longer."""
