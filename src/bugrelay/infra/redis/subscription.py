"""Subscriptions to channels of Redis, while it is available.

They use a separate connection, since a subscribed one accepts no other commands. Messages that are published while it
is disconnected are lost, so subscribers must not rely on them alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import hiredis

from bugrelay.infra.redis.address import redis_address
from bugrelay.infra.redis.client import CONNECT_SECONDS, RETRY_SECONDS

PING_SECONDS = 5.0  # a server that has not replied to a ping by the next one counts as unavailable


class Subscription:
    """Calls `on_message` with channel and message for each message on a channel that matches `pattern`."""

    def __init__(self, url: str, pattern: str, on_message: Callable[[bytes, bytes], None]) -> None:
        self._address = redis_address(url)
        self._pattern = pattern
        self._on_message = on_message

    async def listen(self) -> None:
        """Listen until cancelled, and reconnect after failures."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    connection = await self._address.open(lambda: _Listening(self._on_message))
            except OSError:  # timeouts included; Redis is optional, and its client has logged the failure
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                for command in (*self._address.greeting, ("PSUBSCRIBE", self._pattern)):
                    connection.send(command)
                await connection.serve()
            finally:
                connection.close()
            await asyncio.sleep(RETRY_SECONDS)


class _Listening(asyncio.Protocol):
    """One connection, until it fails."""

    def __init__(self, on_message: Callable[[bytes, bytes], None]) -> None:
        self._on_message = on_message
        self._parser = hiredis.Reader()
        self._failed = asyncio.Event()
        self._was_heard = True
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, command: tuple[str, ...]) -> None:
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub knows tuples of one

    def close(self) -> None:
        self._transport.close()

    async def serve(self) -> None:
        """Ping the server periodically; returns when the connection fails or a ping is not replied to."""
        while self._was_heard and not self._failed.is_set():
            self._was_heard = False
            self.send(("PING",))
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._failed.wait()
            except TimeoutError:
                continue

    def data_received(self, data: bytes) -> None:
        self._was_heard = True
        self._parser.feed(data)
        try:
            while (reply := self._parser.gets()) is not False:
                self._hear(reply)
        except hiredis.HiredisError:  # not RESP
            self._failed.set()

    def _hear(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._failed.set()
        elif isinstance(reply, list) and reply[0] == b"pmessage":
            self._on_message(reply[2], reply[3])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of the protocol
        self._failed.set()
