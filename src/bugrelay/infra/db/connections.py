"""Connections to PostgreSQL with a deadline for every round trip, and a pool of them."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import Escaping, ExecStatus, TransactionStatus
from psycopg.waiting import wait_async

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.query import Query, Reader, RowT, Values

POOL_TIMEOUT_SECONDS = 2
CONNECT_SECONDS = 2
STATEMENT_TIMEOUT_SECONDS = 3
LOCK_TIMEOUT_SECONDS = 2
EXCHANGE_SECONDS = 3.5  # longer than the statement timeout, which a working server reports itself

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedStatement:
    """A statement with one parameter, `$1`.

    Attributes:
        name: Its name on a connection.
        type: The type of its parameter.
        sql: The statement to PREPARE.
    """

    name: str
    type: str
    sql: str


_CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "bugrelay",
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s"
    " -c idle_in_transaction_session_timeout=10s -c timezone=UTC"
    # With enough memory for bitmaps, the planner does not scan whole tables; JIT compilation takes longer than our
    # queries.
    " -c work_mem=32MB -c jit=off -c max_parallel_workers_per_gather=0"
    # Each search reads the whole list of new entries that are not yet merged into a GIN index, by default up to 4 MB.
    " -c gin_pending_list_limit=256kB",
}


class Connection(psycopg.AsyncConnection[Any], Reader):
    """A connection with a deadline for every response, which is closed if its caller is cancelled.

    When a caller is cancelled, psycopg cancels the statement and waits for that up to ten seconds, during which a hung
    server would block the connection. A closed connection is replaced at once; on the server, its statement ends at the
    statement timeout.
    """

    exchange_seconds = EXCHANGE_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._statements: set[str] = set()

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        """Overrides psycopg's, which after a rollback deallocates all statements of the connection, ours included."""
        if name is None:
            self._statements.clear()
        return super()._deallocate(name)

    @classmethod
    async def open(cls, url: str, *, autocommit: bool) -> Connection:
        """Open a connection.

        Raises:
            psycopg.OperationalError: The server does not accept it in time.
        """
        try:
            return await cls.connect(url, autocommit=autocommit, **_CONNECT_OPTIONS)
        except psycopg.Error as error:
            # The traceback would keep the half-open connection, and its slot on the server, until the next garbage
            # collection: after a hang of half a minute, the server would have hundreds of them.
            raise error.with_traceback(None) from None

    async def rows(
        self, query: Query[RowT], values: Values | None = None, *, prepare: bool | None = True
    ) -> Sequence[RowT]:
        """All rows; `prepare` is None to prepare the statement only after a few runs, which is psycopg's default."""
        cursor = await self.execute(
            query.sql, {**query.constants, **(values or {})}, prepare=prepare, binary=query.binary
        )
        return query.read(cursor, await cursor.fetchall())

    async def execute_and_commit(
        self, statement: PreparedStatement, argument: bytes
    ) -> Sequence[tuple[str, ...]]:
        """Run a statement and COMMIT in one message, and return its rows with values as text.

        The protocol allows several statements in one message only without parameters. So the message contains the
        argument as a literal, and the statement is prepared once for each connection, which saves parsing and planning
        it.

        Raises:
            psycopg.Error: The statement or the COMMIT failed.
        """
        if statement.name not in self._statements:
            await self.execute(
                f"PREPARE {statement.name} ({statement.type}) AS {statement.sql}", prepare=False
            )
            self._statements.add(statement.name)
        literal = Escaping(self.pgconn).escape_literal(argument)
        begin = b"BEGIN; " if self.is_free() else b""
        async with self.lock:
            self.pgconn.send_query(begin + b"EXECUTE %b (%b); COMMIT" % (statement.name.encode(), literal))
            results = await self.wait(generators.execute(self.pgconn))
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result, encoding="utf-8")
        rows = results[-2]
        return [
            tuple((rows.get_value(row, column) or b"").decode() for column in range(rows.nfields))
            for row in range(rows.ntuples)
        ]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """A context in which all queries read one snapshot; for a connection in autocommit mode.

        After an exception the connection is still in a transaction, so the pool closes it.
        """
        await self.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
        await self.execute("COMMIT")

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = EXCHANGE_SECONDS,  # noqa: ARG002 - of psycopg, which calls this
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - likewise; ours holds always
    ) -> T:
        """Wait for a response with the deadline; psycopg calls this for every round trip, BEGIN and COMMIT included."""
        deadline = self.exchange_seconds
        try:
            return await wait_async(gen, self.pgconn.socket, interval=deadline, timeout=deadline)
        except BaseException:
            # The response is still outstanding, and nobody would read it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise

    def is_free(self) -> bool:
        """Whether it is open and outside a transaction."""
        return not self.closed and self.pgconn.transaction_status == TransactionStatus.IDLE

    def is_idle(self) -> bool:
        """Whether it can be used again: free, and without data to read.

        An idle server sends data only when it closes the connection, so this detects a lost one without a round trip.
        """
        if not self.is_free():
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return not poll.poll(0)


class Connections:
    """A pool of at most `size` connections in autocommit mode, last in first out.

    SQLAlchemy's pool would cost twice as much as the typical query by key.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, size: int) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closing = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """A connection for the block; closed afterwards if it is not usable any more.

        Raises:
            ServiceUnavailable: No connection was free in time.
            psycopg.OperationalError: The server does not accept a connection.
        """
        async with Slot(self._slots):
            connection = self._take_idle() or await self._connect()
            try:
                yield connection
            finally:
                if connection.is_free() and not self._closing:
                    self._idle.append(connection)
                else:
                    await connection.close()

    async def close(self) -> None:
        """Close idle connections; those in use are closed when they are returned."""
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


class Slot:
    """Holds a slot of a semaphore during a block; a class, because each statement enters two or three of them."""

    __slots__ = ("_slots",)

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots

    async def __aenter__(self) -> None:
        """
        Raises:
            ServiceUnavailable: No slot was free in time.
        """
        if not self._slots.locked():
            await self._slots.acquire()  # does not wait
            return
        try:
            async with asyncio.timeout(POOL_TIMEOUT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise ServiceUnavailable from None

    async def __aexit__(self, *_error: object) -> None:
        self._slots.release()
