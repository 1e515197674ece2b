"""The connections to PostgreSQL: sessions for writes, prepared statements for reads, and deadlines for all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import PoolProxiedConnection, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.connections import (
    POOL_TIMEOUT_SECONDS,
    Connection,
    Connections,
    Slot,
)
from bugrelay.infra.db.query import Query, Reader, Row, RowT, Values
from bugrelay.infra.db.replica import WAL_POSITION, Replica
from bugrelay.infra.db.url import libpq_url
from bugrelay.settings import Settings

__all__ = ["Connection", "Database", "Query", "Reader", "Row", "libpq_url"]

# The bulkhead of the current task, by default its route. A route may hold at most a third of the connections, so that a
# locked table or a hung dependency starves that route only.
bulkhead: ContextVar[str] = ContextVar("lane", default="-")

T = TypeVar("T")


def sqlalchemy_url(url: str) -> str:
    """The URL as SQLAlchemy reads it."""
    return libpq_url(url).replace("postgresql://", "postgresql+psycopg://", 1)


async def driver_connection(session: AsyncSession) -> Connection:
    """psycopg's connection of a session; statements on it are in the session's transaction."""
    raw = await (await session.connection()).get_raw_connection()
    return raw.driver_connection  # type: ignore[return-value]


_PING = Query(text("SELECT 1"), int)
_REVISION = Query(text("SELECT version_num FROM alembic_version"), str)


class Database(Reader):
    """The connections of one process. Reads and writes have separate pools, so that neither starves the other."""

    def __init__(self, settings: Settings) -> None:
        url, size = libpq_url(settings.database_url), settings.pool_size
        self._read = Connections(lambda: Connection.open(url, autocommit=True), size=size)
        self._write = _engine(lambda: Connection.open(url, autocommit=False), size=size)
        self._autocommit = Connections(lambda: Connection.open(url, autocommit=True), size=size)
        self.autocommit: Reader = _Autocommit(self)
        read_url = libpq_url(settings.database_read_url)
        self._replica = (
            Replica(lambda: Connection.open(read_url, autocommit=True), size=size) if read_url else None
        )
        self._per_route = max(2, size // 3)
        self._bulkheads: dict[tuple[str, str], asyncio.Semaphore] = {}

    async def take_for_writing(self) -> PoolProxiedConnection:
        """A pooled connection for a transaction; the caller returns it by closing it."""
        return await self._write.raw_connection()

    def session_on(self, taken: PoolProxiedConnection) -> AsyncSession:
        """A session in the transaction of a connection from `take_for_writing`."""
        connection = SyncConnection(self._write.sync_engine, taken)
        return AsyncSession(AsyncConnection(self._write, connection), expire_on_commit=False)

    def slot(self, kind: str) -> AbstractAsyncContextManager[None]:
        """A slot of the current route's bulkhead for the connections of this kind (`read`, `write`, `replica`).

        Raises:
            ServiceUnavailable: No slot was free in time.
        """
        return Slot(self._bulkheads.setdefault((kind, bulkhead.get()), asyncio.Semaphore(self._per_route)))

    @asynccontextmanager
    async def autocommit_connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode for statements that write.

        Raises:
            ServiceUnavailable: No connection, or no response, in time.
        """
        try:
            async with self.slot("write"), self._autocommit.one() as connection:
                yield connection
        except psycopg.Error as error:
            raise translated(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode for the SELECTs of the block, which should do nothing else that takes time.

        Raises:
            ServiceUnavailable: No connection, or no response, in time.
        """
        try:
            async with self.slot("read"), self._read.one() as connection:
                yield connection
        except psycopg.Error as error:
            raise translated(error) from error

    async def read_preferring_replica(self, read: Callable[[Connection, Reader | None], Awaitable[T]]) -> T:
        """Run a read of public content on the replica if that is up to date, else on the primary.

        Args:
            read: Called with the connection and, on the replica, a reader of the primary for what only the primary
                can tell, else None. It is called again on the primary if the replica fails.

        Raises:
            ServiceUnavailable: No connection, or no response, in time.
        """
        if self._replica is not None and not self._replica.in_cooldown:
            (position,) = await self.rows(WAL_POSITION)
            with suppress(psycopg.Error):  # logged, and read here
                async with self.slot("replica"), self._replica.reading(position) as replica:
                    if replica is not None:
                        return await read(replica, self)
        async with self.reading() as reader:
            return await read(reader, None)

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        """All rows, read on any connection of the pool for reads."""
        async with self.reading() as reader:
            return await reader.rows(query, values)

    async def ping(self, *, timeout_seconds: float) -> bool:
        """Whether PostgreSQL responds in time; never raises."""
        try:
            async with asyncio.timeout(timeout_seconds), self.reading() as reader:
                await reader.rows(_PING)
        except (TimeoutError, ServiceUnavailable):
            return False
        return True

    async def revision(self) -> str | None:
        """The revision of the last migration; None before the first."""
        try:
            return await self.row(_REVISION)
        except psycopg.errors.UndefinedTable:
            return None

    async def close(self) -> None:
        await self._read.close()
        await self._autocommit.close()
        if self._replica is not None:
            await self._replica.close()
        await self._write.dispose()


class _Autocommit(Reader):
    """Runs statements that write, each in its own transaction, without round trips for BEGIN and COMMIT."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        async with self._database.autocommit_connection() as connection:
            return await connection.rows(query, values)


def _engine(connect: Callable[[], Awaitable[Connection]], *, size: int) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_use_lifo=True,
        use_native_hstore=False,
        hide_parameters=True,  # they would appear in the log of an unexpected error
    )
    event.listen(engine.sync_engine, "checkout", _refuse_unusable)
    return engine


def _refuse_unusable(adapted: Any, _record: Any, _fairy: Any) -> None:
    """Make the pool replace a connection that was lost while it was idle."""
    if not adapted.driver_connection.is_idle():
        raise DisconnectionError


def translated(error: Exception) -> Exception:
    """`ServiceUnavailable` for an error that says that the database is unavailable or too slow, else the error itself.

    psycopg raises OperationalError for timeouts, deadlocks, lost connections, a full disk and a server in recovery.
    """
    origin = error.orig if isinstance(error, DBAPIError) else error
    away = (
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.InFailedSqlTransaction,
    )
    if isinstance(error, PoolTimeout | InterfaceError) or isinstance(origin, away):
        unavailable = ServiceUnavailable()
        unavailable.__cause__ = error
        return unavailable
    return error


def violated_constraint(error: DBAPIError) -> str | None:
    """The name of the violated constraint, which domains translate to their errors; None for other errors."""
    return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
