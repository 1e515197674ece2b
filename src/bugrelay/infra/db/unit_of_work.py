"""The unit of work: one transaction with the facts that it publishes. Only this module commits."""

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

    At the end, in this order: flush, durable subscribers on the same connection, the last of them (the event log) with
    the COMMIT, then afterwards subscribers. Once the COMMIT is sent, cancelling the caller stops nothing. Network calls
    do not belong inside. As a reader it reads its own writes.

    Attributes:
        may_be_committed: True once the COMMIT is sent, whatever the outcome, since the response can be lost.
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
        """The ORM session of this transaction, created on first use, since it costs more than a small write."""
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
        """Record a fact with its cause, for the subscribers to its type."""
        self._recorded.append(Recorded(fact, cause.get()))

    def undo(self) -> None:
        """Roll back at the end and publish nothing, for a dry run."""
        self._is_undone = True

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A savepoint for the block: an exception undoes the block and its facts, and the caller may go on."""
        recorded = len(self._recorded)
        try:
            async with self.session.begin_nested():
                # Creates the savepoint now, so that it covers statements that bypass the ORM.
                await self.session.connection()
                yield
        except BaseException:
            del self._recorded[recorded:]
            raise

    async def set_timeouts(self, *, statement_seconds: int, lock_seconds: int) -> None:
        """Set longer timeouts until the end of the transaction, for work outside of requests."""
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
            publish = await self._commit()
        except Exception as failure:
            _raise_unavailable(failure)
            raise
        finally:
            await self._release()
        publish()  # before the others, so that all commands to Redis are sent in one batch
        await self._bus.publish_afterwards([one.fact for one in self._recorded])

    async def _commit(self) -> Callable[[], None]:
        """Send the last durable subscriber's statement and the COMMIT in one message, and return its callback.

        So others wait for its locks without our round trip, and it costs none. If it fails, the server does not run the
        COMMIT.
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
        """Roll back what was not committed, and return the connection and the slot in any case."""
        try:
            await self._roll_back()
        except BaseException as error:
            if self._pooled.is_valid:  # the rollback failed, so the connection must not be used again
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
    """Raise `ServiceUnavailable` for an error that says that the database is unavailable or too slow; else return."""
    if isinstance(error, DBAPIError | PoolTimeout | psycopg.Error):
        unavailable = translated(error)
        if unavailable is not error:
            raise unavailable from error


_completing: set[asyncio.Task[None]] = set()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a separate task, so that cancelling the caller does not separate the COMMIT from its subscribers."""
    task = asyncio.create_task(work)
    _completing.add(task)
    task.add_done_callback(_completing.discard)
    await asyncio.shield(task)
