"""Listeners: one bounded queue for each connection, filled by the hub and emptied by the connection's task."""

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

Item = Update | Resync | Closed


class Listener(ABC):
    """The queue of one connection.

    A listener that lags behind the hub reads the events that it has missed itself, page by page as they are consumed;
    after that the hub fills its queue. The hub never waits for a slow listener: where the queue is full it is
    discarded, and a `Resync` takes its place.

    Attributes:
        is_lagging: Whether it still reads missed events itself.

    Args:
        position: The position that it starts after.
    """

    is_lagging = False

    def __init__(self, position: str) -> None:
        self._queue: deque[Update] = deque()
        self._queued_bytes = 0
        self._resync: Resync | None = None
        self._closed: Closed | None = None
        self._wake_up = asyncio.Event()
        self._position = position

    async def next(self) -> Item:
        """Wait for the next item and return it. Safe to cancel: no item is lost. `Closed` is the last one."""
        while (item := self.next_nowait()) is None:
            if self.is_lagging:
                await self._try_to_read_missed()
            else:
                self._wake_up.clear()
                await self._wake_up.wait()
        return item

    def next_nowait(self) -> Item | None:
        """The next item if there is one already, else None."""
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
        """Where to resume: after the items that were taken, and after events that were filtered out since."""
        if self._queue or self._resync is not None:
            return self._position
        return self._read_position

    def offer(self, update: Update) -> None:
        """Queue a new event; where the queue is full, replace it by a `Resync`."""
        if len(self._queue) >= MAX_QUEUED or self._queued_bytes + len(update.json) > MAX_QUEUED_BYTES:
            self.resync(update.position)
        else:
            self.put(update)

    def offer_all(self, updates: Sequence[Update]) -> None:
        """The same for several events, in one step where they fit."""
        size = sum(len(update.json) for update in updates)
        if len(self._queue) + len(updates) > MAX_QUEUED or self._queued_bytes + size > MAX_QUEUED_BYTES:
            for update in updates:
                self.offer(update)
        elif updates and self._closed is None:
            self._queue.extend(updates)
            self._queued_bytes += size
            self._wake_up.set()

    def put(self, update: Update) -> None:
        """Queue an event regardless of the limits."""
        if self._closed is None:
            self._queue.append(update)
            self._queued_bytes += len(update.json)
            self._wake_up.set()

    def mark_lagging(self) -> None:
        """The hub has skipped events for it: it reads them itself from its position."""
        self.is_lagging = True
        self._wake_up.set()

    def resync(self, head: str) -> None:
        """Discard the queue: the client must reload its state; events after `head` follow."""
        self._queue.clear()
        self._queued_bytes = 0
        self._resync = Resync(head)
        self._wake_up.set()

    def end(self, closed: Closed) -> None:
        """Discard the queue and close; nothing follows."""
        self._closed = self._closed or closed
        self._queue.clear()
        self._queued_bytes = 0
        self._wake_up.set()

    async def _try_to_read_missed(self) -> None:
        try:
            await self._read_missed()
        except ServiceUnavailable:  # nothing is lost: the log is read again from the same position
            await asyncio.sleep(RETRY_SECONDS)

    @property
    @abstractmethod
    def _read_position(self) -> str:
        """Up to where the log was read for it."""

    @abstractmethod
    async def _read_missed(self) -> None:
        """Read the next page of missed events."""

    @abstractmethod
    def close(self) -> None:
        """Close it, and unregister it from the hub."""
