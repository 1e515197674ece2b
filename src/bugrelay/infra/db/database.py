"""PostgreSQL: sessions for writes, prepared SQL for reads, and a deadline on everything."""

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
    acquire_slot,
    libpq_url,
)
from bugrelay.infra.db.query import Query, Reader, Row, RowT, Values
from bugrelay.infra.db.replica import WAL_POSITION, Replica
from bugrelay.settings import Settings

__all__ = ["Connection", "Database", "Query", "Reader", "Row", "libpq_url"]

# The route that is being answered. One route may hold a third of the connections at most, so that a table which is
# locked, or an upstream that hangs, starves its own route and no other.
bulkhead: ContextVar[str] = ContextVar("lane", default="-")

T = TypeVar("T")


def sqlalchemy_url(url: str) -> str:
    """The URL as SQLAlchemy reads it."""
    return libpq_url(url).replace("postgresql://", "postgresql+psycopg://", 1)


async def driver_connection(session: AsyncSession) -> Connection:
    """psycopg's connection under a session: what runs on it is in the session's transaction."""
    raw = await (await session.connection()).get_raw_connection()
    return raw.driver_connection  # type: ignore[return-value]


_PING = Query(text("SELECT 1"), int)
_REVISION = Query(text("SELECT version_num FROM alembic_version"), str)


class Database(Reader):
    """The connections of one process. Reads and writes have their own, so that neither starves the other."""

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
        """A connection for a transaction; whoever takes it closes it, which gives it back."""
        return await self._write.raw_connection()

    def session_on(self, taken: PoolProxiedConnection) -> AsyncSession:
        """A session in the transaction of a connection that was taken for writing."""
        connection = SyncConnection(self._write.sync_engine, taken)
        return AsyncSession(AsyncConnection(self._write, connection), expire_on_commit=False)

    def slot(self, kind: str) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places that the current route has among the connections for `read` or `write`.

        Raises:
            ServiceUnavailable: None was free in time.
        """
        return acquire_slot(
            self._bulkheads.setdefault((kind, bulkhead.get()), asyncio.Semaphore(self._per_route))
        )

    @asynccontextmanager
    async def autocommit_connection(self) -> AsyncIterator[Connection]:
        """One connection for statements that are a transaction each.

        Raises:
            ServiceUnavailable: No connection, or no answer, in time.
        """
        try:
            async with self.slot("write"), self._autocommit.one() as connection:
                yield connection
        except psycopg.Error as error:
            raise translated(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """One connection for all SELECTs of the block; nothing else belongs into it that takes time.

        Raises:
            ServiceUnavailable: No connection, or no answer, in time.
        """
        try:
            async with self.slot("read"), self._read.one() as connection:
                yield connection
        except psycopg.Error as error:
            raise translated(error) from error

    async def read_preferring_replica(self, read: Callable[[Connection, Reader | None], Awaitable[T]]) -> T:
        """Run a read of what everybody may see: on the replica where there is one that is up to date, else here.

        Args:
            read: Is given where to read and, on the replica, the primary for what only that can tell. It may be run
                twice: what a failing replica began is done again here.
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
        """All rows, read on a connection of its own."""
        async with self.reading() as reader:
            return await reader.rows(query, values)

    async def ping(self, *, timeout_seconds: float) -> bool:
        """Whether PostgreSQL answers in time; never raises."""
        try:
            async with asyncio.timeout(timeout_seconds), self.reading() as reader:
                await reader.rows(_PING)
        except (TimeoutError, ServiceUnavailable):
            return False
        return True

    async def revision(self) -> str | None:
        """The last migration that was applied; None before the first."""
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
    """Runs statements that change something and are a transaction each: no round trip for BEGIN, none for COMMIT."""

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
        hide_parameters=True,  # they would be in the log of an unforeseen error
    )
    event.listen(engine.sync_engine, "checkout", _refuse_unusable)
    return engine


def _refuse_unusable(adapted: Any, _record: Any, _fairy: Any) -> None:
    """Makes the pool open another connection in place of one that broke while it was idle."""
    if not adapted.driver_connection.is_idle():
        raise DisconnectionError


def translated(error: Exception) -> Exception:
    """What a database error means to the caller: 503 where the database is away or too slow, else the error itself.

    Timeouts, deadlocks, lost connections, a full disk and a server in recovery are all OperationalError to psycopg.
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
    """The name of the constraint that refused a row; domains turn it into their own error."""
    return error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
