"""The WebSocket connections of a process by client: a second connection of a client replaces the first."""

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
"""A user, and the `client_id` of one of their programs."""


class Connection:
    """One WebSocket connection, as others see it.

    Attributes:
        id: Unique over all processes; later connections have greater ids.
        client: The client, once it is authenticated.
        slots: Its slots among the connections of its user or address.
        ended: Resolves when it must be closed, to the close code and reason.
    """

    def __init__(self) -> None:
        self.id = new_id_text()
        self.client: Client | None = None
        self.slots = ExitStack()
        self.ended: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()

    def end(self, code: CloseCode, reason: str) -> None:
        """Have it closed, and release its slots."""
        self.slots.close()
        if not self.ended.done():
            self.ended.set_result(Refused(code, reason))


class Clients:
    """The connections of one process, by client.

    A second connection of a client replaces the first: at once where one process has both, else when the other process
    is notified through Redis. Without Redis the first stays open until it is closed; both receive the same events.
    """

    def __init__(self, redis: RedisClient, redis_url: str) -> None:
        self._redis = redis
        self._subscription = Subscription(redis_url, CHANNEL, self._on_message)
        self._by_client: dict[Client, Connection] = {}
        self._listening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Subscribe to the notifications of other processes."""
        self._listening = asyncio.create_task(self._subscription.listen())

    async def stop(self) -> None:
        """Unsubscribe."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def replace(self, client: Client, connection: Connection) -> None:
        """Register the connection of a client, and end its previous one."""
        if connection.client is not None:
            return
        previous = self._by_client.get(client)
        connection.client = client
        self._by_client[client] = connection
        self._redis.notify("PUBLISH", CHANNEL, f"{client[0]} {client[1]} {connection.id}")
        if previous is not None:
            _end_replaced(previous)

    def close(self, connection: Connection) -> None:
        """Unregister a closed connection."""
        connection.slots.close()
        if connection.client is not None and self._by_client.get(connection.client) is connection:
            del self._by_client[connection.client]

    def _on_message(self, _channel: bytes, message: bytes) -> None:
        """Another process has registered a connection of a client."""
        user_id, client_id, connection_id = message.decode().split(" ")
        current = self._by_client.get((UUID(user_id), client_id))
        if current is not None and current.id < connection_id:
            _end_replaced(current)


def _end_replaced(connection: Connection) -> None:
    connection.end(CloseCode.REPLACED, "another connection of this client was opened")
