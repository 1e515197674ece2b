"""PostgreSQL: sessions for writes, prepared SQL for reads, and a deadline on everything.

Reads do not go through ORM objects: a SELECT is written in SQLAlchemy Core (the models stay the source of truth),
compiled once and run by psycopg on an autocommit connection. The numbers behind that are in docs/adr/0003.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.waiting import wait_async
from sqlalchemy import Executable, event, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from bugrelay.errors import ServiceUnavailable
from bugrelay.settings import Settings

POOL_TIMEOUT_SECONDS = 2
CONNECT_SECONDS = 2
STATEMENT_TIMEOUT_SECONDS = 3
LOCK_TIMEOUT_SECONDS = 2
EXCHANGE_SECONDS = 3.5  # a server that lives ends the statement itself, and says why

# The route that is being answered. One route may hold a third of the connections at most, so that a table which is
# locked, or an upstream that hangs, starves its own route and no other.
lane: ContextVar[str] = ContextVar("lane", default="-")

T = TypeVar("T")

_CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "bugrelay",
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s"
    " -c idle_in_transaction_session_timeout=10s -c timezone=UTC"
    # A bitmap that fits keeps the planner from scanning the whole table; compiling costs more than our queries take.
    " -c work_mem=32MB -c jit=off -c max_parallel_workers_per_gather=0",
}

_DIALECT = PGDialect_psycopg(paramstyle="pyformat")  # type: ignore[no-untyped-call]


def libpq_url(url: str) -> str:
    """The URL as libpq and psycopg read it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1).replace("postgres://", "postgresql://", 1)


def sqlalchemy_url(url: str) -> str:
    """The URL as SQLAlchemy reads it."""
    return libpq_url(url).replace("postgresql://", "postgresql+psycopg://", 1)


class Query:
    """A statement compiled once; `%(name)s` parameters are bound at each call."""

    __slots__ = ("constants", "sql")

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        self.sql: str = compiled.string
        self.constants: dict[str, Any] = {k: v for k, v in compiled.params.items() if v is not None}


class Reader(Protocol):
    """Runs queries: on a connection of its own (`Database`) or inside a transaction (`TransactionReader`)."""

    async def rows(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, ...]]: ...

    async def row(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> tuple[Any, ...] | None: ...


async def driver_connection(session: AsyncSession) -> Connection:
    """psycopg's connection under a session: what runs on it is in the session's transaction."""
    raw = await (await session.connection()).get_raw_connection()
    return raw.driver_connection  # type: ignore[return-value]


class TransactionReader:
    """Reads what the transaction of a session has written so far."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def rows(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, ...]]:
        await self._session.flush()
        driver = await driver_connection(self._session)
        cursor = await driver.execute(query.sql, {**query.constants, **(parameters or {})})
        return await cursor.fetchall()

    async def row(self, query: Query, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None


_PING = Query(text("SELECT 1"))


class ConnectionReader:
    """Reads on one connection in autocommit mode, for several queries in a row."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def rows(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, ...]]:
        values = {**query.constants, **(parameters or {})}
        cursor = await self.connection.execute(query.sql, values, prepare=True)
        return await cursor.fetchall()

    async def row(self, query: Query, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None


class Connection(psycopg.AsyncConnection[Any]):
    """A connection that keeps nobody waiting: the server's answers have a deadline, and whoever leaves closes it.

    psycopg asks the server to cancel what a cancelled caller was waiting for, and waits for that up to ten seconds.
    A hung server takes all of them, ten seconds in which the connection can serve nobody else. Closed, it is
    replaced at once; what the server still does for it ends at its statement timeout.
    """

    exchange_seconds = EXCHANGE_SECONDS

    @classmethod
    async def open(cls, url: str, *, autocommit: bool) -> Connection:
        """
        Raises:
            psycopg.OperationalError: No server, or none that takes us in time.
        """
        try:
            return await cls.connect(url, autocommit=autocommit, **_CONNECT_OPTIONS)
        except psycopg.Error as error:
            # The traceback would keep the half-open connection, and so a place at the server, until some garbage
            # collection: a server that hung for half a minute would wake up to hundreds of those.
            raise error.with_traceback(None) from None

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = EXCHANGE_SECONDS,  # noqa: ARG002 - of psycopg, which calls this
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - likewise; ours holds always
    ) -> T:
        """Every exchange with the server passes here, BEGIN and COMMIT as well."""
        deadline = self.exchange_seconds
        try:
            return await wait_async(gen, self.pgconn.socket, interval=deadline, timeout=deadline)
        except BaseException:
            # The answer is still to come, and nobody will be there to read it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise

    def is_free(self) -> bool:
        """Whether it is open and outside a transaction."""
        return not self.closed and self.pgconn.transaction_status == TransactionStatus.IDLE

    def is_idle(self) -> bool:
        """Whether it can serve the next caller: free, and with nothing left to read.

        What an idle server has to say is its good-bye, so one that went away is noticed without a round trip.
        """
        if not self.is_free():
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)


class Connections:
    """At most `size` connections in autocommit mode, the last used first.

    Without the pool of SQLAlchemy, which costs twice as much as the query by key that it is mostly used for.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, size: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closing = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """A connection for the length of the block. One that the block leaves unusable is closed.

        Raises:
            ServiceUnavailable: None was free in time.
            psycopg.OperationalError: The server takes no connection.
        """
        async with place_in(self._places):
            connection = self._take_idle() or await self._connect()
            try:
                yield connection
            finally:
                if connection.is_free() and not self._closing:
                    self._idle.append(connection)
                else:
                    await connection.close()

    async def close(self) -> None:
        """Close what is idle; what is in use is closed by its user."""
        self._closing = True
        while self._idle:
            await self._idle.pop().close()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle():
                return connection
            connection.pgconn.finish()
        return None


@asynccontextmanager
async def place_in(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of the places, for the length of the block.

    Raises:
        ServiceUnavailable: None was free in time.
    """
    if places.locked():
        try:
            async with asyncio.timeout(POOL_TIMEOUT_SECONDS):
                await places.acquire()
        except TimeoutError:
            raise ServiceUnavailable from None
    else:
        await places.acquire()  # does not wait
    try:
        yield
    finally:
        places.release()


class Database:
    """The connections of one process. Reads and writes have their own, so that neither starves the other."""

    def __init__(self, settings: Settings) -> None:
        url, size = libpq_url(settings.database_url), settings.database_pool
        self._read = Connections(lambda: Connection.open(url, autocommit=True), size=size)
        self._write = _engine(lambda: Connection.open(url, autocommit=False), size=size)
        self._alone = Connections(lambda: Connection.open(url, autocommit=True), size=size)
        self.alone = Alone(self)
        self._per_lane = max(2, settings.database_pool // 3)
        self._lanes: dict[tuple[str, str], asyncio.Semaphore] = {}

    def session(self) -> AsyncSession:
        """A session that holds no connection until its first statement."""
        return AsyncSession(self._write, expire_on_commit=False)

    def place(self, kind: str) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places that the current route has among the connections for `read` or `write`.

        Raises:
            ServiceUnavailable: None was free in time.
        """
        return place_in(self._lanes.setdefault((kind, lane.get()), asyncio.Semaphore(self._per_lane)))

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[ConnectionReader]:
        """One connection for statements that are a transaction each.

        Raises:
            ServiceUnavailable: No connection, or no answer, in time.
        """
        try:
            async with self.place("write"), self._alone.one() as connection:
                yield ConnectionReader(connection)
        except psycopg.Error as error:
            raise translated(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ConnectionReader]:
        """One connection for all SELECTs of the block; nothing else belongs into it that takes time.

        Raises:
            ServiceUnavailable: No connection, or no answer, in time.
        """
        try:
            async with self.place("read"), self._read.one() as connection:
                yield ConnectionReader(connection)
        except psycopg.Error as error:
            raise translated(error) from error

    async def rows(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, ...]]:
        """All rows of a SELECT, as tuples in the order of its columns."""
        async with self.reading() as reader:
            return await reader.rows(query, parameters)

    async def row(self, query: Query, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        """The first row of a SELECT, or None."""
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None

    async def ping(self, *, timeout_seconds: float) -> bool:
        """Whether PostgreSQL answers in time; never raises."""
        try:
            async with asyncio.timeout(timeout_seconds), self.reading() as reader:
                await reader.rows(_PING)
        except (TimeoutError, ServiceUnavailable):
            return False
        return True

    async def close(self) -> None:
        await self._read.close()
        await self._alone.close()
        await self._write.dispose()


class Alone:
    """Runs statements that change something and are a transaction each: no round trip for BEGIN, none for COMMIT."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(
        self, query: Query, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, ...]]:
        async with self._database.changing() as connection:
            return await connection.rows(query, parameters)

    async def row(self, query: Query, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None


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
