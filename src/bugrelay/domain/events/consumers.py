"""Those who follow the event log: each has a cursor a stream, and has every event once, in order.

A batch is read under the lock of its cursor, and what a consumer makes of it is committed with the cursor's move. One
that fails stops its own stream alone: it is tried again with doubling pauses, an event at a time, so that the events
before the one that fails have their effects.
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
from bugrelay.domain.events.repository import Behind
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.database import Database, bulkhead
from bugrelay.infra.db.unit_of_work import UnitOfWork

BATCH = 500  # events a transaction
BATCH_SECONDS = 60.0
AT_ONCE = 3  # streams of one consumer in one worker
MAX_PAUSE_SECONDS = 300
DOUBLINGS = 9  # of a pause of a second, until it is longer than that: more of them would overflow one day
POLL_SECONDS = 1.0
FOUND_AT_ONCE = 100

Work = Callable[[], UnitOfWork]
_Place = tuple[str, UUID]  # a consumer, and a stream

log = structlog.get_logger()


@dataclass(frozen=True)
class Consumer:
    """Somebody who follows the log.

    Attributes:
        name: Of its cursors; it never changes.
        handle: Is given events of one stream, in order, and writes what follows from them (rows, jobs) in this unit of
            work; the cursor moves in the same transaction. No network call belongs inside. What it raises rolls all of
            that back. It may end its turn early and give how many it has handled: whoever locks what people wait for
            lets it go at the COMMIT. 0 where it has more to do for the first, which it is then given again: it finds
            what it has done by its own rows.
        batch: How many events it is given at most.
    """

    name: str
    handle: Callable[[UnitOfWork, Sequence[Event]], Awaitable[int | None]]
    batch: int = BATCH


async def start_consumers(work: UnitOfWork, names: Sequence[str]) -> None:
    """Make new ones known: they follow each stream from its end, and those that begin later from their beginning."""
    known = upsert(EventConsumer).on_conflict_do_nothing().returning(EventConsumer.name)
    for name in sorted(names):
        if await work.session.scalar(known.values(name=name)) is not None:
            ends = select(literal(name), EventStream.stream, EventStream.last_seq)
            await work.session.execute(insert(EventCursor).from_select(["consumer", "stream", "seq"], ends))


async def follow(
    consumers: Sequence[Consumer], *, work: Work, database: Database, woken: asyncio.Event
) -> None:
    """Follow the log until cancelled; a batch that is cut off is rolled back, and read again by the next worker.

    Args:
        consumers: Of this worker.
        work: Begins a unit of work.
        database: Says which streams have news.
        woken: Set when there may be news; without it they are found within a second.
    """
    bulkhead.set("consumers")
    reading = _Reading(
        {consumer.name: consumer for consumer in consumers}, work=work, database=database, woken=woken
    )
    told = ""
    try:
        while True:
            woken.clear()
            try:
                await reading.begin()
                told = ""
            except Exception as error:  # noqa: BLE001 - the database may be away; trying goes on
                cause = repr(error.__cause__ or error)[:300]
                if cause != told:  # once, not each second of an outage
                    log.warning("consumers_interrupted", cause=cause)
                told = cause
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()
    finally:
        await reading.cancel()


class _Reading:
    """The consumers of one worker, and what they read for. Each stream is a task: a slow one delays no other."""

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
        self._places = {name: asyncio.Semaphore(AT_ONCE) for name in consumers}
        self._tasks: dict[_Place, asyncio.Task[bool]] = {}
        self._error: BaseException | None = None

    async def begin(self) -> None:
        """Begin to read what is behind.

        Raises:
            Exception: What interrupted a task since the last call.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._started:
            async with self._work() as work:
                await start_consumers(work, list(self._consumers))
            self._started = True
        idle = [name for name in self._consumers if self._is_idle(name)]
        for behind in await repository.streams_behind(self._database, idle, limit=FOUND_AT_ONCE):
            place = behind.consumer, behind.stream
            if place not in self._tasks:
                self._tasks[place] = asyncio.create_task(self._read_in_turn(behind))
                self._tasks[place].add_done_callback(partial(self._end, place))

    async def cancel(self) -> None:
        """Cut off what has begun."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_idle(self, name: str) -> bool:
        """Whether some of the consumer's places are free, so that it is worth asking for more."""
        return sum(consumer == name for consumer, _ in self._tasks) < AT_ONCE

    def _end(self, place: _Place, task: asyncio.Task[bool]) -> None:
        del self._tasks[place]
        if task.cancelled():
            return
        self._error = task.exception() or self._error
        if task.exception() is None and task.result() and self._is_idle(place[0]):
            self._woken.set()

    async def _read_in_turn(self, behind: Behind) -> bool:
        async with self._places[behind.consumer]:
            return await self._read(behind)

    async def _read(self, behind: Behind) -> bool:
        """A batch; whether there may be more. When an event fails, those before it have their effects, one by one."""
        try:
            return await self._read_batch(behind, limit=self._consumers[behind.consumer].batch)
        except Exception:  # noqa: BLE001 - what it was is told of the event that it is about
            log.info("batch_failed", consumer=behind.consumer, stream=str(behind.stream))
        try:
            while await self._read_batch(behind, limit=1):
                pass
        except Exception as error:  # noqa: BLE001 - whatever it was, the other streams go on
            await self._put_off(behind, error)
        return True

    async def _read_batch(self, behind: Behind, *, limit: int) -> bool:
        """Whether there may be more; not where somebody else reads the stream, nor at its end."""
        async with asyncio.timeout(BATCH_SECONDS), self._work() as work:
            if behind.is_unread:
                await _begin_cursor(work, behind)
            cursor = await repository.lock_cursor(work, consumer=behind.consumer, stream=behind.stream)
            if cursor is None:
                return False
            limit = 1 if cursor.attempts else limit
            events = found = await repository.events_after(work, behind.stream, cursor.seq, limit=limit)
            if news := [event for event in events if not event.is_recorded_later]:
                handled = await self._consumers[behind.consumer].handle(work, news)
                if handled is not None and handled < len(news):
                    events = events[: events.index(news[handled])]
            if events:
                await _move_cursor(work, behind, seq=events[-1].seq)
        return bool(found)

    async def _put_off(self, behind: Behind, error: Exception) -> None:
        """Try the stream again later."""
        cause = repr(error)[:300]
        async with self._work() as work:
            attempts = await _count_failure(work, behind, cause)
        log.warning(
            "consumer_failed",
            consumer=behind.consumer,
            stream=str(behind.stream),
            attempts=attempts,
            cause=cause,
        )


async def _begin_cursor(work: UnitOfWork, behind: Behind) -> None:
    await work.session.execute(
        upsert(EventCursor).values(consumer=behind.consumer, stream=behind.stream).on_conflict_do_nothing()
    )


async def _move_cursor(work: UnitOfWork, behind: Behind, *, seq: int) -> None:
    await work.session.execute(
        update(EventCursor)
        .where(EventCursor.consumer == behind.consumer, EventCursor.stream == behind.stream)
        .values(seq=seq, attempts=0, retry_at=None, error=None)
        .execution_options(synchronize_session=False)
    )


async def _count_failure(work: UnitOfWork, behind: Behind, cause: str) -> int:
    """Note that the next event failed once more, and when it is tried again; gives how often it has."""
    doublings = func.least(EventCursor.attempts, DOUBLINGS)
    pause = func.least(func.power(2, doublings), MAX_PAUSE_SECONDS) * (1 + func.random() / 4)
    failing = (
        upsert(EventCursor)
        .values(consumer=behind.consumer, stream=behind.stream, attempts=1, error=cause, retry_at=func.now())
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
