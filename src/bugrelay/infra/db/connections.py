"""Connections to PostgreSQL that keep nobody waiting, and queries on them."""

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
EXCHANGE_SECONDS = 3.5  # a server that lives ends the statement itself, and says why

T = TypeVar("T")


@dataclass(frozen=True)
class PreparedStatement:
    """A statement with one parameter, `$1`.

    Attributes:
        name: Names it on a connection.
        type: Of its parameter.
        sql: As PREPARE takes it.
    """

    name: str
    type: str
    sql: str


_CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "bugrelay",
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s"
    " -c idle_in_transaction_session_timeout=10s -c timezone=UTC"
    # A bitmap that fits keeps the planner from scanning the whole table; compiling costs more than our queries take.
    " -c work_mem=32MB -c jit=off -c max_parallel_workers_per_gather=0",
}


def libpq_url(url: str) -> str:
    """The URL as libpq and psycopg read it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1).replace("postgres://", "postgresql://", 1)


class Connection(psycopg.AsyncConnection[Any], Reader):
    """A connection that keeps nobody waiting: the server's answers have a deadline, and whoever leaves closes it.

    psycopg asks the server to cancel what a cancelled caller was waiting for, and waits for that up to ten seconds.
    A hung server takes all of them, ten seconds in which the connection can serve nobody else. Closed, it is
    replaced at once; what the server still does for it ends at its statement timeout.
    """

    exchange_seconds = EXCHANGE_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._statements: set[str] = set()

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        """Of psycopg, which deallocates all statements of the connection after a rollback, ours as well."""
        if name is None:
            self._statements.clear()
        return super()._deallocate(name)

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

    async def rows(
        self, query: Query[RowT], values: Values | None = None, *, prepare: bool | None = True
    ) -> Sequence[RowT]:
        """`prepare`: None to do so when it has been run a few times, as psycopg does by itself."""
        cursor = await self.execute(
            query.sql, {**query.constants, **(values or {})}, prepare=prepare, binary=query.binary
        )
        return query.read(cursor, await cursor.fetchall())

    async def execute_and_commit(
        self, statement: PreparedStatement, argument: bytes
    ) -> Sequence[tuple[str, ...]]:
        """Run a statement and COMMIT, in one message; gives its rows, as PostgreSQL writes their values.

        The protocol takes several statements in one message only without parameters. So the argument stands in it, and
        the statement is prepared once a connection: neither of us parses and plans it again and again.
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
        """Everything that is read in the block is of one moment; for a connection in autocommit mode.

        A connection that the block leaves by an exception is in a transaction still, and so closed by whoever lent it.
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
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closing = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """A connection for the length of the block. One that the block leaves unusable is closed.

        Raises:
            ServiceUnavailable: None was free in time.
            psycopg.OperationalError: The server takes no connection.
        """
        async with acquire_slot(self._slots):
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
async def acquire_slot(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of the places, for the length of the block.

    Raises:
        ServiceUnavailable: None was free in time.
    """
    if slots.locked():
        try:
            async with asyncio.timeout(POOL_TIMEOUT_SECONDS):
                await slots.acquire()
        except TimeoutError:
            raise ServiceUnavailable from None
    else:
        await slots.acquire()  # does not wait
    try:
        yield
    finally:
        slots.release()
