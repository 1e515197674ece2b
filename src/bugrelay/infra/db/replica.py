"""A streaming replica for public reads, used only if it has everything that was committed before the read.

The primary returns its WAL position, and a replica that has not replayed up to there is not used. So no read returns
rows from before a committed write.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import structlog
from sqlalchemy import Text, bindparam, text

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.connections import Connection, Connections
from bugrelay.infra.db.query import Query

ASK_SECONDS = 0.25
COOLDOWN_SECONDS = 5.0

WAL_POSITION = Query(text("SELECT pg_current_wal_insert_lsn()::text"), str)
_HAS_REPLAYED = Query(
    text("SELECT pg_last_wal_replay_lsn() >= CAST(:position AS pg_lsn)").bindparams(
        bindparam("position", type_=Text)
    ),
    bool,
)

log = structlog.get_logger()


class Replica:
    """The connections of one process to the replica. After a failure it is not used for `COOLDOWN_SECONDS`."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, size: int) -> None:
        self._connections = Connections(connect, size=size)
        self._cooldown_until = 0.0

    @property
    def in_cooldown(self) -> bool:
        return time.monotonic() < self._cooldown_until

    @asynccontextmanager
    async def reading(self, position: str) -> AsyncIterator[Connection | None]:
        """A connection for the block, or None if the replica has not replayed up to this WAL position, or is
        unavailable.

        Raises:
            psycopg.Error: The connection was lost, or the replica cancelled a query in order to replay.
        """
        async with AsyncExitStack() as stack:
            reader = await self._reader(stack, position)
            try:
                yield reader
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._begin_cooldown(error)
                raise

    async def _reader(self, stack: AsyncExitStack, position: str) -> Connection | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reader = await stack.enter_async_context(self._connections.one())
                has_replayed = await reader.row(_HAS_REPLAYED, {"position": position})
        except (psycopg.Error, ServiceUnavailable, TimeoutError) as error:
            self._begin_cooldown(error)
            return None
        return reader if has_replayed else None

    def _begin_cooldown(self, error: Exception) -> None:
        self._cooldown_until = time.monotonic() + COOLDOWN_SECONDS
        log.warning("replica_unavailable", reason=f"{type(error).__name__}: {error}"[:200])

    async def close(self) -> None:
        await self._connections.close()
