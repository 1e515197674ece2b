"""The hub of a process: reads each stream of the log once and fans it out to all of its listeners.

Redis pub/sub only wakes it up: a message says that a stream has an event with a number, and the event itself is read
from the database. Besides, all streams with listeners are polled each second in one query, so Redis may be down, hang,
or lose messages.
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
from bugrelay.domain.live.schemas import Closed, Encode, EventFilter
from bugrelay.domain.live.service.board import Board
from bugrelay.domain.live.service.connections import Connections
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.domain.live.service.tenants import TenantStreams
from bugrelay.infra.db.database import Database, bulkhead

POLL_SECONDS = 1.0
ROUND_SECONDS = 0.05  # at least, between the starts of two rounds of reading

Notifications = Callable[[Callable[[bytes, bytes], None]], Coroutine[Any, Any, None]]
"""Subscribes to the channels of the log until it is cancelled; calls back with the channel and the message of each."""

log = structlog.get_logger()


class Hub:
    """One for each process. Its task runs while there are listeners.

    Args:
        database: The log.
        connections: Limits of live connections.
        encode: Encodes an event as JSON.
        notifications: Redis pub/sub.
        is_stopping: Whether the server drains, so that clients should reconnect to another one.
    """

    def __init__(
        self,
        database: Database,
        *,
        connections: Connections,
        encode: Encode,
        notifications: Notifications,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.connections = connections
        self._database = database
        self._tenants = TenantStreams(database, encode=encode)
        self._board = Board(database, encode=encode)
        self._notifications = notifications
        self._is_stopping = is_stopping
        self._wake_up = asyncio.Event()
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
        """A listener to a company's stream. The caller must close it.

        Args:
            tenant: The company and its user.
            session_id: The session of the user's token; where it ends, so does the listener.
            since: The number after which events follow; None: from now on. A position that is too old gives a `Resync`.
            projects: Only events of these, where there are any.
            tickets: Only events of these, where there are any.
            types: Only events of these types, where there are any.

        Raises:
            ServiceUnavailable
        """
        event_filter = EventFilter(frozenset(types), frozenset(projects), frozenset(tickets))
        return self._started(
            await self._tenants.listen(tenant, session_id, since=since, event_filter=event_filter)
        )

    async def listen_to_board(
        self, *, since: BoardCursor | None = None, bug_id: UUID | None = None
    ) -> Listener:
        """A listener to the public events of the board, or of one bug. The caller must close it.

        Raises:
            ServiceUnavailable
        """
        return self._started(await self._board.listen(since=since, bug_id=bug_id))

    async def head(self, stream: UUID) -> int:
        """The number of the newest event of a stream."""
        return await repository.head_of(self._database, stream)

    async def close(self) -> None:
        """End all connections, and the task."""
        self._end_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _started(self, listener: Listener) -> Listener:
        if self._is_stopping():
            self._end_all()
        if self._task is None or self._task.done():
            # In an empty context: the task outlives the request that starts it, and must not log its id.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        return listener

    def _end_all(self) -> None:
        for source in (self._tenants, self._board):
            source.end_all(Closed("stopping"))

    def _on_notification(self, channel: bytes, message: bytes) -> None:
        with suppress(ValueError):  # not a message of ours
            stream, seq = UUID(channel.decode().removeprefix(CHANNEL)), int(message)
            if self._tenants.notify(stream, seq) or self._board:
                self._wake_up.set()

    async def _run(self) -> None:
        bulkhead.set("live")
        self._wake_up = asyncio.Event()
        notifications = asyncio.create_task(self._notifications(self._on_notification))
        try:
            await self._read()
        finally:
            self._task = None
            notifications.cancel()
            await asyncio.gather(notifications, return_exceptions=True)

    async def _read(self) -> None:
        """Read until there are no listeners."""
        clock = asyncio.get_running_loop().time
        poll_at, logged = clock(), ""
        while self._tenants or self._board:
            started = clock()
            self._wake_up.clear()
            if self._is_stopping():
                self._end_all()
                return
            is_poll = started >= poll_at
            if is_poll:
                poll_at = started + POLL_SECONDS
            try:
                has_more = await self._round(is_poll=is_poll)
                logged = ""
            except Exception as error:  # noqa: BLE001 - the database may be down; it is retried
                cause, has_more = repr(error.__cause__ or error)[:300], False
                if cause != logged:  # once for an outage, not once a second
                    log.warning("live_interrupted", cause=cause)
                logged = cause
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(max(0.0, started + ROUND_SECONDS - clock()))
            if not has_more:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(poll_at):
                        await self._wake_up.wait()

    async def _round(self, *, is_poll: bool) -> bool:
        """Read new events; returns whether there may be more."""
        if is_poll:
            self._tenants.mark_all()
            await self._tenants.end_idle()
        has_more = await self._tenants.read_new()
        return await self._board.read_new() or has_more
