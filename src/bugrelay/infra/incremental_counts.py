"""Exact totals without counting again, and without requests that count for seconds.

A count is stored with the snapshot under which it was taken. Later the total is that count plus the log entries that
the snapshot could not see; the sum is taken under a new snapshot and stored in turn. PostgreSQL decides what was
visible, so the total equals count(*) in the same statement, under any interleaving.

A process caches the totals that it has read. Large totals are also looked up in Redis, then in the table of kept
totals, and a job counts those that are not there (docs/adr/0016).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
import psycopg
import structlog

from bugrelay.errors import BugRelayError, ServiceUnavailable
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.db.statistics import Statistics
from bugrelay.infra.redis.client import RedisClient, RedisUnavailable

MAX_ENTRIES = 4096
# The log covers an hour; a count that was not updated for this long is dropped, so that differences of clocks do not
# matter.
KEPT_SECONDS = 300
SHARED_EVERY_SECONDS = 60  # how often a process that updates a total stores it in Redis
# About the number of rows that a request counts itself: with a cold cache still far from the statement timeout.
MAX_COUNTED_HERE = 20_000
WAIT_SECONDS = 1.5  # for the job; then the request counts itself, and still responds in time
POLL_SECONDS = 0.05
GIVEN_UP_SECONDS = 30  # how long a total that took too long is not counted again

log = structlog.get_logger()


class Counted(msgspec.Struct, frozen=True):
    """A count, the snapshot it was taken under, and the era of the counted table."""

    total: int
    snapshot: str
    era: str


class CountedRow(Protocol):
    """A row with a count, or with the sum of changes since; the snapshot is text."""

    @property
    def total(self) -> int: ...
    @property
    def snapshot(self) -> str: ...
    @property
    def era(self) -> str | None: ...


CountedRowT = TypeVar("CountedRowT", bound=CountedRow)


class Statement(Protocol[CountedRowT]):
    """Returns a SELECT of the count and other columns, with at least one row; only the one that is run is compiled."""

    def __call__(self, *, incremental: bool) -> Query[CountedRowT]:
        """If `incremental`, with the sum of signs since `:snapshot` instead of the count."""
        ...


@dataclass
class _Kept:
    counted: Counted
    carried_at: float
    shared_at: float = 0.0


@dataclass(frozen=True)
class ByJob:
    """How to get a total that is too large for a request to count.

    Attributes:
        kept: SELECT of the kept total, snapshot and era of `:key`; no row if it is not valid.
        job: The name of the job that counts the total of a key.
    """

    kept: Query[Counted]
    job: str


_Find = Callable[[str], Awaitable[Counted | None]]
Ask = Callable[[str, str], Awaitable[bool]]


class TotalNotCounted(ServiceUnavailable):
    """No job has counted this total yet, and counting it exceeded the statement timeout."""


class IncrementalCounts:
    """The totals of this process, by key; the least recently used are dropped first."""

    def __init__(self, redis: RedisClient, ask: Ask) -> None:
        """`ask` has the job of that name count the total of a key; it returns false if no worker is running."""
        self.statistics = Statistics()
        self._redis = redis
        self._ask = ask
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asked: dict[str, float] = {}
        self._given_up: OrderedDict[str, float] = OrderedDict()

    def known(self, key: str) -> int | None:
        """A recent value of the total, sufficient for choosing a plan; None if it is not known."""
        kept = self._current(key)
        return kept.counted.total if kept else None

    def has_given_up(self, key: str) -> bool:
        """Whether a recent count of the total took too long."""
        return time.monotonic() - self._given_up.get(key, -math.inf) < GIVEN_UP_SECONDS

    async def read(
        self,
        reader: Reader,
        key: str,
        *,
        statement: Statement[CountedRowT],
        values: Mapping[str, Any],
        by_job: ByJob | None = None,
    ) -> tuple[int, Sequence[CountedRowT]]:
        """The number of rows now, and the rows of the statement, from the same snapshot.

        Args:
            reader: The primary: a standby's snapshots do not tell what was visible.
            key: Everything that the count depends on.
            statement: Returns the statement.
            values: Its parameters.
            by_job: For a total that may be too large to count here.

        Returns:
            The total, and the rows of the statement that read it.

        Raises:
            TotalNotCounted: With `by_job`: no job has counted it, and it took too long here.
        """
        for find in self._sources(reader, by_job):
            known = await find(key)
            if known is None:
                continue
            rows = await reader.rows(statement(incremental=True), {**values, "snapshot": known.snapshot})
            now = rows[0]
            if now.era == known.era:
                total = known.total + now.total
                await self._keep(key, Counted(total, now.snapshot, now.era), share=by_job is not None)
                return total, rows
        rows = await self._count(reader, key, statement, values, is_large=by_job is not None)
        now = rows[0]
        if now.era is not None:
            await self._keep(key, Counted(now.total, now.snapshot, now.era), share=by_job is not None)
        return now.total, rows

    async def _count(
        self,
        reader: Reader,
        key: str,
        statement: Statement[CountedRowT],
        values: Mapping[str, Any],
        *,
        is_large: bool,
    ) -> Sequence[CountedRowT]:
        """
        Raises:
            TotalNotCounted
        """
        if not is_large:
            return await reader.rows(statement(incremental=False), values)
        try:
            return await reader.rows(statement(incremental=False), values)
        except (psycopg.errors.QueryCanceled, ServiceUnavailable) as error:
            log.warning("total_not_counted")
            self._given_up[key] = time.monotonic()
            self._given_up.move_to_end(key)
            if len(self._given_up) > MAX_ENTRIES:
                self._given_up.popitem(last=False)
            raise TotalNotCounted from error

    async def share(self, key: str, counted: Counted) -> None:
        """Store the total in Redis for all processes; without Redis they read the table."""
        with suppress(RedisUnavailable):
            await self._redis.run("SET", _redis_key(key), msgspec.json.encode(counted), "EX", KEPT_SECONDS)

    def _current(self, key: str) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and time.time() - kept.carried_at < KEPT_SECONDS else None

    async def _keep(self, key: str, counted: Counted, *, share: bool) -> None:
        now = time.time()
        before = self._kept.get(key)
        kept = self._kept[key] = _Kept(counted, now, before.shared_at if before else 0.0)
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_ENTRIES:
            self._kept.popitem(last=False)
        if share and now - kept.shared_at > SHARED_EVERY_SECONDS:
            kept.shared_at = now
            await self.share(key, counted)

    def _sources(self, reader: Reader, by_job: ByJob | None) -> Sequence[_Find]:
        """The sources of a total, the cheapest first."""
        if by_job is None:
            return (self._of_process,)
        return (
            self._of_process,
            self._of_redis,
            partial(_of_table, reader, by_job),
            partial(self._counted_by_job, reader, by_job),
        )

    async def _of_process(self, key: str) -> Counted | None:
        kept = self._current(key)
        return kept.counted if kept else None

    async def _of_redis(self, key: str) -> Counted | None:
        with suppress(RedisUnavailable, msgspec.DecodeError):
            found = await self._redis.run("GET", _redis_key(key))
            return msgspec.json.decode(found, type=Counted) if found else None
        return None

    async def _counted_by_job(self, reader: Reader, by_job: ByJob, key: str) -> Counted | None:
        """Have a job count it, and wait a moment; None if no job counts it in time."""
        now = time.monotonic()
        for one in [one for one, at in self._asked.items() if now - at >= WAIT_SECONDS]:
            del self._asked[one]
        if key not in self._asked:
            self._asked[key] = now
            if not await self._could_ask(by_job.job, key):
                self._asked.pop(key, None)
                return None
        while key in self._asked and time.monotonic() - now < WAIT_SECONDS:
            await asyncio.sleep(POLL_SECONDS)
            if found := await _of_table(reader, by_job, key):
                return found
        return None

    async def _could_ask(self, job: str, key: str) -> bool:
        try:
            return await self._ask(job, key)
        except BugRelayError as error:  # a read-only database still has totals
            log.warning("total_not_asked_for", code=error.code)
            return False


async def _of_table(reader: Reader, by_job: ByJob, key: str) -> Counted | None:
    return await reader.row(by_job.kept, {"key": key})


def _redis_key(key: str) -> str:
    return "total:" + hashlib.sha256(key.encode()).hexdigest()
