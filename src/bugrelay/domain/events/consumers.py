"""Consumers of the event log: each has a cursor for each stream, and handles every event once, in order.

A batch is read under the lock of its cursor, and the consumer's writes are committed together with the cursor. A
failure stops only its own stream: it is retried with exponential back-off, one event at a time, so that the events
before the failing one have their effects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bugrelay.domain.events import repository
from bugrelay.domain.events.models import EventConsumer, EventCursor, EventStream
from bugrelay.domain.events.repository import LaggingStream
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.database import Database, bulkhead
from bugrelay.infra.db.unit_of_work import UnitOfWork

BATCH = 500  # events in one transaction
BATCH_SECONDS = 60.0
AT_ONCE = 3  # streams of one consumer in one worker
MAX_PAUSE_SECONDS = 300
MAX_DOUBLINGS = (
    9  # of a pause of one second, until it exceeds that; an unlimited exponent would overflow one day
)
POLL_SECONDS = 1.0
MAX_FOUND = 100  # lagging streams in one poll

Work = Callable[[], UnitOfWork]
_Reader = tuple[str, UUID]  # the name of a consumer, and a stream

log = structlog.get_logger()


@dataclass(frozen=True)
class Consumer:
    """A consumer of the log.

    Attributes:
        name: The name of its cursors; it must never change.
        handle: Receives events of one stream, in order, and writes their effects (rows, jobs) in this unit of work; the
            cursor moves in the same transaction. It must not do network calls. An exception rolls everything back. It
            may stop early and return the number of events that it has handled, so that locks which requests wait for
            are released by the COMMIT. 0 means that the first needs another call: it then continues from its own rows.
        batch: The maximum number of events in one call.
    """

    name: str
    handle: Callable[[UnitOfWork, Sequence[Event]], Awaitable[int | None]]
    batch: int = BATCH


async def start_consumers(work: UnitOfWork, names: Sequence[str]) -> None:
    """Register new consumers: they follow existing streams from their end, and later ones from their beginning."""
    known = upsert(EventConsumer).on_conflict_do_nothing().returning(EventConsumer.name)
    for name in sorted(names):
        if await work.session.scalar(known.values(name=name)) is not None:
            ends = select(literal(name), EventStream.stream, EventStream.last_seq)
            await work.session.execute(insert(EventCursor).from_select(["consumer", "stream", "seq"], ends))


async def follow(
    consumers: Sequence[Consumer], *, work: Work, database: Database, woken: asyncio.Event
) -> None:
    """Follow the log until cancelled; a cancelled batch is rolled back, and read again by the next worker.

    Args:
        consumers: The consumers of this worker.
        work: Begins a unit of work.
        database: Where lagging streams are looked up.
        woken: Set when there may be new events; without it they are found within a second.
    """
    bulkhead.set("consumers")
    reading = _Reading(
        {consumer.name: consumer for consumer in consumers}, work=work, database=database, woken=woken
    )
    logged = ""
    try:
        while True:
            woken.clear()
            try:
                await reading.begin()
                logged = ""
            except Exception as error:  # noqa: BLE001 - the database may be down; the next poll tries again
                cause = repr(error.__cause__ or error)[:300]
                if cause != logged:  # once, not each second of an outage
                    log.warning("consumers_interrupted", cause=cause)
                logged = cause
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()
    finally:
        await reading.cancel()


class _Reading:
    """The reads of one worker. Each stream of a consumer is a task, so that a slow one delays no other."""

    def __init__(
        self,
        consumers: Mapping[str, Consumer],
        *,
        work: Work,
        database: Database,
        woken: asyncio.Event,
    ) -> None:
        self._consumers = consumers
        self._work = work
        self._database = database
        self._woken = woken
        self._started = False
        self._slots = {name: asyncio.Semaphore(AT_ONCE) for name in consumers}
        self._tasks: dict[_Reader, asyncio.Task[bool]] = {}
        self._error: BaseException | None = None

    async def begin(self) -> None:
        """Start a task for each lagging stream that has none.

        Raises:
            Exception: The error of a task that has failed since the last call.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._started:
            async with self._work() as work:
                await start_consumers(work, list(self._consumers))
            self._started = True
        idle = [name for name in self._consumers if self._is_idle(name)]
        for lagging in await repository.lagging_streams(self._database, idle, limit=MAX_FOUND):
            reader = lagging.consumer, lagging.stream
            if reader not in self._tasks:
                self._tasks[reader] = asyncio.create_task(self._read_in_slot(lagging))
                self._tasks[reader].add_done_callback(partial(self._end, reader))

    async def cancel(self) -> None:
        """Cancel all tasks, and wait for their end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_idle(self, name: str) -> bool:
        """Whether the consumer has free slots."""
        return sum(consumer == name for consumer, _ in self._tasks) < AT_ONCE

    def _end(self, reader: _Reader, task: asyncio.Task[bool]) -> None:
        del self._tasks[reader]
        if task.cancelled():
            return
        self._error = task.exception() or self._error
        if task.exception() is None and task.result() and self._is_idle(reader[0]):
            self._woken.set()

    async def _read_in_slot(self, lagging: LaggingStream) -> bool:
        async with self._slots[lagging.consumer]:
            return await self._read(lagging)

    async def _read(self, lagging: LaggingStream) -> bool:
        """Read a batch; returns whether there may be more. If it fails, its events are handled one by one."""
        try:
            return await self._read_batch(lagging, limit=self._consumers[lagging.consumer].batch)
        except Exception:  # noqa: BLE001 - it is logged with the event that fails again below
            log.info("batch_failed", consumer=lagging.consumer, stream=str(lagging.stream))
        try:
            while await self._read_batch(lagging, limit=1):
                pass
        except Exception as error:  # noqa: BLE001 - whatever it was, the other streams continue
            await self._schedule_retry(lagging, error)
        return True

    async def _read_batch(self, lagging: LaggingStream, *, limit: int) -> bool:
        """Returns whether there may be more: False at the end, or if another worker reads the stream."""
        async with asyncio.timeout(BATCH_SECONDS), self._work() as work:
            if lagging.is_unread:
                await _begin_cursor(work, lagging)
            cursor = await repository.lock_cursor(work, consumer=lagging.consumer, stream=lagging.stream)
            if cursor is None:
                return False
            limit = 1 if cursor.attempts else limit
            events = found = await repository.events_after(work, lagging.stream, cursor.seq, limit=limit)
            if news := [event for event in events if not event.is_recorded_later]:
                handled = await self._consumers[lagging.consumer].handle(work, news)
                if handled is not None and handled < len(news):
                    events = events[: events.index(news[handled])]
            if events:
                await _move_cursor(work, lagging, seq=events[-1].seq)
        return bool(found)

    async def _schedule_retry(self, lagging: LaggingStream, error: Exception) -> None:
        """Schedule a retry of the stream, and log the failure."""
        cause = repr(error)[:300]
        async with self._work() as work:
            attempts = await _count_failure(work, lagging, cause)
        log.warning(
            "consumer_failed",
            consumer=lagging.consumer,
            stream=str(lagging.stream),
            attempts=attempts,
            cause=cause,
        )


async def _begin_cursor(work: UnitOfWork, lagging: LaggingStream) -> None:
    await work.session.execute(
        upsert(EventCursor).values(consumer=lagging.consumer, stream=lagging.stream).on_conflict_do_nothing()
    )


async def _move_cursor(work: UnitOfWork, lagging: LaggingStream, *, seq: int) -> None:
    await work.session.execute(
        update(EventCursor)
        .where(EventCursor.consumer == lagging.consumer, EventCursor.stream == lagging.stream)
        .values(seq=seq, attempts=0, retry_at=None, error=None)
        .execution_options(synchronize_session=False)
    )


async def _count_failure(work: UnitOfWork, lagging: LaggingStream, cause: str) -> int:
    """Count a failure of the next event, and schedule its retry; returns the number of failures."""
    doublings = func.least(EventCursor.attempts, MAX_DOUBLINGS)
    pause = func.least(func.power(2, doublings), MAX_PAUSE_SECONDS) * (1 + func.random() / 4)
    failing = (
        upsert(EventCursor)
        .values(
            consumer=lagging.consumer, stream=lagging.stream, attempts=1, error=cause, retry_at=func.now()
        )
        .on_conflict_do_update(
            index_elements=[EventCursor.consumer, EventCursor.stream],
            set_={
                "attempts": EventCursor.attempts + 1,
                "error": cause,
                "retry_at": func.now() + pause * timedelta(seconds=1),
            },
        )
        .returning(EventCursor.attempts)
    )
    return await work.session.scalar(failing) or 0
