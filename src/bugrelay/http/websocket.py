"""One WebSocket connection over ASGI: read, written and closed within limits.

One task does all of it. Two sends at once can freeze the server (granian#862), and it closes a connection only when no
`receive` is under way, so that one has to end first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any

from litestar.types import Receive

MAX_MESSAGE_BYTES = 16 * 1024  # of a client
MAX_MESSAGES_A_SECOND = 20  # of a client
PROGRESS_SECONDS = 10.0  # for a client to make room for one message
# For a client that reads slowly to come to the close frame; the kernel gives up after SEND_TIMEOUT_SECONDS.
CLOSE_SECONDS = 30.0
# For whatever is under way when the server stops: it waits for nobody who does not read, and what was still waited for
# when its process ends would make the server panic.
STOP_SECONDS = 0.15
DISCARD_SECONDS = 1.0  # for what the client has sent before it is closed
QUIET_SECONDS = 0.05  # after which that was all
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5


class CloseCode(IntEnum):
    """Why a connection was closed: the contract's codes, and those of RFC 6455 and its registry where they fit."""

    STOPPING = 1001
    INTERNAL_ERROR = 1011
    UNAVAILABLE = 1013
    NOT_UNDERSTOOD = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    REPLACED = 4409
    TOO_MANY = 4429


class Refused(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Disconnected(Exception):
    """The client has gone; there is nobody to tell anything."""


class Budget:
    """At most so many messages in any window of so many seconds."""

    def __init__(self, most: int, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._arrived: deque[float] = deque(maxlen=most)

    def spend(self, now: float) -> bool:
        """Count a message that has come, on a clock that never goes back; False where it is one too many."""
        if len(self._arrived) == self._arrived.maxlen and now - self._arrived[0] < self._window_seconds:
            return False
        self._arrived.append(now)
        return True


class WebSocket:
    """A connection whose handshake was admitted (http/handshake.py). Made and used inside one task.

    Attributes:
        scope: Of ASGI.
    """

    def __init__(self, scope: Any, receive: Receive, send: Any) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._budget = Budget(MAX_MESSAGES_A_SECOND, 1.0)
        self._loop = asyncio.get_running_loop()
        self._receiving: asyncio.Task[bytes] | None = None
        self._stopping: asyncio.Future[None] = self._loop.create_future()
        self._deadline: asyncio.Timeout | None = None

    async def accept(self) -> None:
        """Finish the handshake.

        Raises:
            Disconnected
        """
        message: Any = await self._receive()
        if message["type"] != "websocket.connect":
            raise Disconnected
        await self._sent(self._send({"type": "websocket.accept"}))

    async def wait(self, *others: asyncio.Future[Any], timeout_seconds: float) -> bytes | None:
        """The next message of the client, when it is the first of all that is waited for to come.

        Args:
            others: What else ends the wait.
            timeout_seconds: Ends it, too.

        Raises:
            Disconnected
            Refused: It is too large, no text, or one too many; or the server stops.
        """
        if self._receiving is None:
            self._receiving = self._loop.create_task(self._next_message())
        waited: list[asyncio.Future[Any]] = [self._receiving, self._stopping, *others]
        await asyncio.wait(waited, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._stopping.done():
            raise Refused(CloseCode.STOPPING, "this server is stopping")
        if not self._receiving.done():
            return None
        done, self._receiving = self._receiving, None
        return done.result()

    async def send(self, message: bytes) -> None:
        """One message, as text.

        Raises:
            Disconnected
            Refused: The client has made no room for it in time.
        """
        try:
            async with self._within(PROGRESS_SECONDS):
                await self._sent(self._send({"type": "websocket.send", "text": message.decode()}))
        except TimeoutError as error:
            if self._stopping.done():
                raise Refused(CloseCode.STOPPING, "this server is stopping") from error
            raise Refused(CloseCode.TOO_SLOW, f"nothing read for {PROGRESS_SECONDS:.0f} s") from error

    async def close(self, code: CloseCode, reason: str) -> None:
        """Say why, and close. A client that reads slowly is given time to come to the close frame."""
        await self.stop_receiving()
        await self._discard_unread()
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with self._within(CLOSE_SECONDS):
                await self._sent(self._send({"type": "websocket.close", "code": int(code), "reason": short}))
        except (TimeoutError, Disconnected):
            return

    def stop(self) -> None:
        """The server stops: have it closed soon, whatever it waits for."""
        if not self._stopping.done():
            self._stopping.set_result(None)
        soon = self._loop.time() + STOP_SECONDS
        if self._deadline is not None and (self._deadline.when() or soon) > soon:
            self._deadline.reschedule(soon)

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        """A deadline for the block, which a stop brings forward.

        Raises:
            TimeoutError
        """
        try:
            async with asyncio.timeout(STOP_SECONDS if self._stopping.done() else seconds) as self._deadline:
                yield
        finally:
            self._deadline = None

    async def stop_receiving(self) -> None:
        """End a `receive` that is under way."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait((self._receiving,))
            if not self._receiving.cancelled():
                self._receiving.exception()
            self._receiving = None

    async def _discard_unread(self) -> None:
        """Read what the client has sent: the kernel would answer it with a reset, which destroys the close frame."""
        until = self._loop.time() + (STOP_SECONDS if self._stopping.done() else DISCARD_SECONDS)
        while (now := self._loop.time()) < until:
            try:
                async with asyncio.timeout_at(min(until, now + QUIET_SECONDS)):
                    message: Any = await self._receive()
            except TimeoutError:
                return
            if message["type"] == "websocket.disconnect":
                return

    async def _next_message(self) -> bytes:
        message: Any = await self._receive()
        if message["type"] != "websocket.receive":
            raise Disconnected
        if not self._budget.spend(self._loop.time()):
            raise Refused(CloseCode.NOT_UNDERSTOOD, f"more than {MAX_MESSAGES_A_SECOND} messages a second")
        text: str | None = message.get("text")
        if text is None:
            raise Refused(CloseCode.NOT_UNDERSTOOD, "only text messages are read")
        content = text.encode()
        if len(content) > MAX_MESSAGE_BYTES:
            raise Refused(CloseCode.NOT_UNDERSTOOD, f"a message over {MAX_MESSAGE_BYTES} bytes")
        return content

    async def _sent(self, sending: Awaitable[None]) -> None:
        """
        Raises:
            Disconnected: The server says of a client that has gone RuntimeError (granian#922) or OSError.
        """
        try:
            await sending
        except (RuntimeError, OSError) as error:
            raise Disconnected from error
