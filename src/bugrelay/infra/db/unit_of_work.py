"""One change of the database: everything in it is kept together or not at all, and only this file commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import greenlet_spawn

from bugrelay.infra.db.database import Connection, Database, translated
from bugrelay.infra.db.query import Query, Reader, RowT, Values
from bugrelay.infra.events import EventBus, Recorded, cause


class UnitOfWork(Reader):
    """`async with UnitOfWork(database, bus) as work:` commits at the end, or rolls back on any exception.

    Order at the end: flush, durable subscribers on the same connection, the last of them (the event log), COMMIT, then
    the other subscribers. From the COMMIT on, a cancelled caller stops nothing. No network call belongs inside. As a
    reader it reads what it has written so far.

    Attributes:
        may_be_committed: From the moment that COMMIT was asked for, whatever came back: an answer can be lost.
    """

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database = database
        self._bus = bus
        self._recorded: list[Recorded] = []
        self._session: AsyncSession | None = None
        self._is_undone = False
        self.may_be_committed = False

    @property
    def session(self) -> AsyncSession:
        """The ORM in this transaction; made when it is first asked for, since it costs more than a small change."""
        if self._session is None:
            self._session = self._database.session_on(self._pooled)
        return self._session

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        await self._flush()
        return await self._connection.rows(query, values, prepare=None)

    async def _flush(self) -> None:
        if self._session is not None:
            await self._session.flush()

    def record(self, fact: Any) -> None:
        """Remember what has happened, and what it comes from, for the subscribers to its type."""
        self._recorded.append(Recorded(fact, cause.get()))

    def undo(self) -> None:
        """Keep nothing of it at the end, nor tell anybody: for who wants to know what would be."""
        self._is_undone = True

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails in the block is undone, its facts with it, and the rest of the unit goes on."""
        recorded = len(self._recorded)
        try:
            async with self.session.begin_nested():
                await (
                    self.session.connection()
                )  # only now is the savepoint there, for those who pass the ORM by as well
                yield
        except BaseException:
            del self._recorded[recorded:]
            raise

    async def set_timeouts(self, *, statement_seconds: int, lock_seconds: int) -> None:
        """For work that nobody waits for at the other end of a request: longer deadlines until the end of it."""
        self._connection.exchange_seconds = statement_seconds + 1
        await self.session.execute(
            text(
                f"SET LOCAL statement_timeout = '{statement_seconds:d}s'; SET LOCAL lock_timeout = '{lock_seconds:d}s'"
            )
        )

    async def __aenter__(self) -> UnitOfWork:
        self._slot = self._database.slot("write")
        await self._slot.__aenter__()
        try:
            self._pooled = await self._database.take_for_writing()
        except BaseException as error:
            await self._slot.__aexit__(None, None, None)
            _raise_unavailable(error)
            raise
        self._connection: Connection = self._pooled.driver_connection  # type: ignore[assignment]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self._release()
            _raise_unavailable(error)
            return
        if self._is_undone:
            await self._release()
            return
        try:
            await self._flush()
            await self._bus.publish_durable(lambda: self.session, self._recorded)
        except BaseException as failure:
            await self._release()
            _raise_unavailable(failure)
            raise
        self.may_be_committed = True
        await _to_the_end(self._complete())

    async def _complete(self) -> None:
        try:
            tell = await self._commit()
        except Exception as failure:
            _raise_unavailable(failure)
            raise
        finally:
            await self._release()
        tell()  # what this and the others send to Redis leaves together
        await self._bus.publish_afterwards([one.fact for one in self._recorded])

    async def _commit(self) -> Callable[[], None]:
        """The last durable subscriber's statement and the COMMIT go to the server in one message.

        So whoever waits for what it locks does not wait for the way to us and back, and it costs no round trip. When it
        fails, the server does not come to the COMMIT. Gives what is to be told of it.
        """
        last = self._bus.last_statement(self._recorded)
        rows = (
            () if last is None else await self._connection.execute_and_commit(last.statement, last.argument)
        )
        if self._session is not None:
            await self._session.commit()
        if not self._connection.is_free():
            await self._connection.commit()
        return (lambda: None) if last is None else partial(last.then, rows)

    async def _release(self) -> None:
        """Roll back what was not committed, and give the connection and the place back, whatever happens."""
        try:
            await self._roll_back()
        except BaseException as error:
            if self._pooled.is_valid:  # the rollback did not get through, so nobody may use this connection
                await greenlet_spawn(self._pooled.invalidate)
            if not isinstance(error, DBAPIError | psycopg.Error):
                raise
        finally:
            self._connection.exchange_seconds = Connection.exchange_seconds
            try:
                if self._pooled.is_valid:
                    await greenlet_spawn(self._pooled.close)
            finally:
                await self._slot.__aexit__(None, None, None)

    async def _roll_back(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._connection.rollback()  # sends nothing outside a transaction


def _raise_unavailable(error: BaseException) -> None:
    """503 in place of an error that says that the database is away or too slow; returns for any other."""
    if isinstance(error, DBAPIError | PoolTimeout | psycopg.Error):
        unavailable = translated(error)
        if unavailable is not error:
            raise unavailable from error


_completing: set[asyncio.Task[None]] = set()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a task of its own: a caller that is cancelled leaves no COMMIT without its subscribers."""
    task = asyncio.create_task(work)
    _completing.add(task)
    task.add_done_callback(_completing.discard)
    await asyncio.shield(task)
