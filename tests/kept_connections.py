"""Connections to PostgreSQL that outlive the application of a test and serve that of the next one.

A new connection reads the catalogs and plans each statement again, and a new engine compiles it again: together that is
most of the cost of a small test. The application itself is new for each test. The connections that it borrows must be
idle when it ends; otherwise they are closed, as its own would be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from bugrelay.infra.db.connections import Connections
from bugrelay.infra.db.database import Database
from bugrelay.settings import Settings


class _Pools(NamedTuple):
    """All that a `Database` opens, but for a replica."""

    read: Connections
    write: AsyncEngine
    autocommit: Connections


class KeptConnections:
    """Of one run, on one event loop.

    Attributes:
        are_lent: Whether they are; while not, each application opens its own.
    """

    def __init__(self) -> None:
        self.are_lent = True
        self._idle: dict[tuple[str, int], list[_Pools]] = defaultdict(list)

    @asynccontextmanager
    async def lent_to(self, database: Database, settings: Settings) -> AsyncIterator[None]:
        """The database uses connections of earlier tests. Close it after the block."""
        if not self.are_lent:
            yield
            return
        key = settings.database_url, settings.pool_size
        await self._close_all_but(key)
        own, idle = _pools_of(database), self._idle[key]
        lent = idle.pop() if idle else _pools_of(Database(settings))
        _put(lent, into=database)
        yield
        if _are_at_rest(lent, settings.pool_size):
            _put(own, into=database)
            await _trim(lent, to=settings.pool_size // 3)
            self._idle[key].append(lent)

    async def close(self) -> None:
        await self._close_all_but(None)

    async def _close_all_but(self, key: tuple[str, int] | None) -> None:
        """The server has places for those of one kind of application."""
        for other in self._idle.keys() - {key}:
            for pools in self._idle.pop(other):
                await pools.read.close()
                await pools.autocommit.close()
                await pools.write.dispose()


def _pools_of(database: Database) -> _Pools:
    return _Pools(database._read, database._write, database._autocommit)


def _put(pools: _Pools, *, into: Database) -> None:
    into._read, into._write, into._autocommit = pools


def _are_at_rest(pools: _Pools, size: int) -> bool:
    """Whether nobody uses any of them."""
    lists = (pools.read, pools.autocommit)
    return all(each._slots._value == size for each in lists) and not _queue(pools).checkedout()


async def _trim(pools: _Pools, *, to: int) -> None:
    """Leave the server places for others: of each kind stay as many as one route may hold, or none."""
    for each in (pools.read, pools.autocommit):
        while len(each._idle) > to:
            await each._idle.pop(0).close()
    if _queue(pools).checkedin() > to:
        await pools.write.dispose()


def _queue(pools: _Pools) -> QueuePool:
    pool = pools.write.sync_engine.pool
    assert isinstance(pool, QueuePool)
    return pool
