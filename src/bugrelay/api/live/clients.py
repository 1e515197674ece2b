"""The WebSockets of a process by whose they are: a second connection of a client ends the first."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from uuid import UUID

from bugrelay.http.websocket import CloseCode, Refused
from bugrelay.infra.ids import new_id_text
from bugrelay.infra.redis.client import RedisClient
from bugrelay.infra.redis.subscription import Subscription

CHANNEL = "bugrelay:clients"

Client = tuple[UUID, str]
"""A user, and the name that a program of theirs has given itself."""


class Connection:
    """One WebSocket, as others see it.

    Attributes:
        id: Its own, among those of all processes; a later one is greater.
        client: Whose it is, once that is known.
        counted: What it counts for, of what its user may have.
        ended: Done when it is to be closed, with how.
    """

    def __init__(self) -> None:
        self.id = new_id_text()
        self.client: Client | None = None
        self.counted = ExitStack()
        self.ended: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()

    def end(self, code: CloseCode, reason: str) -> None:
        """Have it closed; it counts no longer."""
        self.counted.close()
        if not self.ended.done():
            self.ended.set_result(Refused(code, reason))


class Clients:
    """The connections of one process, by whose they are.

    A second connection of a client replaces the first: at once where one process has both, else when the other process
    hears of it through Redis. Without Redis the first stays until it is closed; both are sent the same.
    """

    def __init__(self, redis: RedisClient, redis_url: str) -> None:
        self._redis = redis
        self._subscription = Subscription(redis_url, CHANNEL, self._hear)
        self._named: dict[Client, Connection] = {}
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to hear of other processes."""
        self._listening = asyncio.create_task(self._subscription.listen())

    async def stop(self) -> None:
        """Hear of them no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def replace(self, client: Client, connection: Connection) -> None:
        """It is this client's from now on; another that was ends."""
        if connection.client is not None:
            return
        former = self._named.get(client)
        connection.client = client
        self._named[client] = connection
        self._redis.notify("PUBLISH", CHANNEL, f"{client[0]} {client[1]} {connection.id}")
        if former is not None:
            _end_replaced(former)

    def close(self, connection: Connection) -> None:
        """It is open no longer."""
        connection.counted.close()
        if connection.client is not None and self._named.get(connection.client) is connection:
            del self._named[connection.client]

    def _hear(self, _channel: bytes, message: bytes) -> None:
        """A process has a new connection of a client."""
        user_id, client_id, connection_id = message.decode().split(" ")
        known = self._named.get((UUID(user_id), client_id))
        if known is not None and known.id < connection_id:
            _end_replaced(known)


def _end_replaced(connection: Connection) -> None:
    connection.end(CloseCode.REPLACED, "another connection of this client was opened")
