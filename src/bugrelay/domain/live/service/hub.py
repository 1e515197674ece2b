"""The hub of a process: reads the log for whoever listens, each stream once, however many listen to it.

Redis only rings: its message says that a stream has an event with a number, and everything is read from the database.
Each second all streams with listeners are asked for news, in one query, whether or not somebody has rung: so Redis may
be away, hang, or lose a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any
from uuid import UUID

import structlog

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.events.log import CHANNEL
from bugrelay.domain.live import repository
from bugrelay.domain.live.cursors import BoardCursor
from bugrelay.domain.live.schemas import Closed, Encode, Wanted
from bugrelay.domain.live.service.board import Board
from bugrelay.domain.live.service.connections import Connections
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.domain.live.service.tenants import TenantStreams
from bugrelay.infra.db.database import Database, bulkhead

POLL_SECONDS = 1.0
ROUND_SECONDS = 0.05  # from the beginning of one to that of the next, at least

Bell = Callable[[Callable[[bytes, bytes], None]], Coroutine[Any, Any, None]]
"""Listens until cancelled; calls with the channel and the message of each ring."""

log = structlog.get_logger()


class Hub:
    """Of one process. It reads while somebody listens; the first begins that, and the last ends it.

    Args:
        database: Where the log is.
        connections: The count of them.
        encode: Writes an event as JSON.
        bell: Tells of news.
        is_stopping: Whether connections are to go elsewhere.
    """

    def __init__(
        self,
        database: Database,
        *,
        connections: Connections,
        encode: Encode,
        bell: Bell,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.connections = connections
        self._database = database
        self._tenants = TenantStreams(database, encode=encode)
        self._board = Board(database, encode=encode)
        self._bell = bell
        self._is_stopping = is_stopping
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def listen(
        self,
        tenant: Tenant,
        session_id: UUID,
        *,
        since: int | None = None,
        projects: Collection[UUID] = (),
        tickets: Collection[UUID] = (),
        types: Collection[str] = (),
    ) -> Listener:
        """A listener for who is of a company, signed in by a session. Whoever is given it closes it.

        Args:
            tenant: The company, and who asks.
            session_id: Of the token that they came with.
            since: The number behind which it goes on; None: from now on. What is too old is a `Resync`.
            projects: Events of these alone.
            tickets: Events of these alone.
            types: Events of these types alone.

        Raises:
            ServiceUnavailable
        """
        wanted = Wanted(frozenset(types), frozenset(projects), frozenset(tickets))
        return self._begun(await self._tenants.listen(tenant, session_id, since=since, wanted=wanted))

    async def listen_to_board(
        self, *, since: BoardCursor | None = None, bug_id: UUID | None = None
    ) -> Listener:
        """A listener to what everybody may see of the board, or of one bug. Whoever is given it closes it.

        Raises:
            ServiceUnavailable
        """
        return self._begun(await self._board.listen(since=since, bug_id=bug_id))

    async def head(self, stream: UUID) -> int:
        """The number of the newest event of a stream."""
        return await repository.head_of(self._database, stream)

    async def close(self) -> None:
        """End all connections, and the reading."""
        self._end_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begun(self, listener: Listener) -> Listener:
        if self._is_stopping():
            self._end_all()
        if self._task is None or self._task.done():
            # In a context of its own: what it does is about no request.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        return listener

    def _end_all(self) -> None:
        for source in (self._tenants, self._board):
            source.end_all(Closed("stopping"))

    def _ring(self, channel: bytes, message: bytes) -> None:
        with suppress(ValueError):  # of somebody who publishes on our channels
            stream, seq = UUID(channel.decode().removeprefix(CHANNEL)), int(message)
            if self._tenants.ring(stream, seq) or self._board:
                self._rung.set()

    async def _run(self) -> None:
        bulkhead.set("live")
        self._rung = asyncio.Event()
        bell = asyncio.create_task(self._bell(self._ring))
        try:
            await self._read()
        finally:
            self._task = None
            bell.cancel()
            await asyncio.gather(bell, return_exceptions=True)

    async def _read(self) -> None:
        """Until nobody listens any more."""
        clock = asyncio.get_running_loop().time
        poll_at, told = clock(), ""
        while self._tenants or self._board:
            began = clock()
            self._rung.clear()
            if self._is_stopping():
                self._end_all()
                return
            is_poll = began >= poll_at
            if is_poll:
                poll_at = began + POLL_SECONDS
            try:
                has_more = await self._round(is_poll=is_poll)
                told = ""
            except Exception as error:  # noqa: BLE001 - the database may be away; trying goes on
                cause, has_more = repr(error.__cause__ or error)[:300], False
                if cause != told:  # once, not each second of an outage
                    log.warning("live_interrupted", cause=cause)
                told = cause
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(max(0.0, began + ROUND_SECONDS - clock()))
            if not has_more:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(poll_at):
                        await self._rung.wait()

    async def _round(self, *, is_poll: bool) -> bool:
        """Read what is new; says whether there may be more."""
        if is_poll:
            self._tenants.suspect_all()
            await self._tenants.end_idle()
        has_more = await self._tenants.read_news()
        return await self._board.read_news() or has_more
