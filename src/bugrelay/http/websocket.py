"""One WebSocket connection over ASGI, with deadlines and limits.

One task reads and writes. Two concurrent sends can freeze the server (granian#862), and it closes a connection only
when no `receive` is pending, so that one has to be cancelled first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any

from litestar.types import Receive

MAX_MESSAGE_BYTES = 16 * 1024  # from a client
MAX_MESSAGES_A_SECOND = 20  # from a client
PROGRESS_SECONDS = 10.0  # for a client to read enough that one message can be sent
# For a slow client to read up to the close frame; the kernel gives up after SEND_TIMEOUT_SECONDS.
CLOSE_SECONDS = 30.0
# For sends that are pending when the server stops: a send that is still pending when the process ends makes the server
# panic.
STOP_SECONDS = 0.15
DISCARD_SECONDS = 1.0  # to read what the client sends before the connection is closed
QUIET_SECONDS = 0.05  # without a message, after which nothing more is expected
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5


class CloseCode(IntEnum):
    """Close codes: 44xx are our own (docs/live.md), the others are registered ones (RFC 6455, section 7.4)."""

    STOPPING = 1001
    INTERNAL_ERROR = 1011
    UNAVAILABLE = 1013
    INVALID = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    REPLACED = 4409
    TOO_MANY_REQUESTS = 4429


class Refused(Exception):
    """The connection must be closed with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Disconnected(Exception):
    """The client has closed the connection, or it is broken; nothing can be sent."""


class SlidingWindow:
    """A rate limit: at most `limit` messages in any window of `window_seconds`."""

    def __init__(self, limit: int, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._arrived: deque[float] = deque(maxlen=limit)

    def allow(self, now: float) -> bool:
        """Count a message; returns False, and does not count it, where it exceeds the limit. `now` is a monotonic
        clock."""
        if len(self._arrived) == self._arrived.maxlen and now - self._arrived[0] < self._window_seconds:
            return False
        self._arrived.append(now)
        return True


class WebSocket:
    """A connection whose handshake was admitted (http/handshake.py). Created and used in one task.

    Attributes:
        scope: The ASGI scope.
    """

    def __init__(self, scope: Any, receive: Receive, send: Any) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._rate = SlidingWindow(MAX_MESSAGES_A_SECOND, 1.0)
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
        """Wait for the next message of the client; returns None where something else came first.

        Args:
            others: Futures that end the wait, too.
            timeout_seconds: After which the wait ends.

        Raises:
            Disconnected
            Refused: The message is too large, binary, or exceeds the rate limit; or the server stops.
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
        """Send a text message.

        Raises:
            Disconnected
            Refused: The client does not read, or the server stops.
        """
        try:
            async with self._within(PROGRESS_SECONDS):
                await self._sent(self._send({"type": "websocket.send", "text": message.decode()}))
        except TimeoutError as error:
            if self._stopping.done():
                raise Refused(CloseCode.STOPPING, "this server is stopping") from error
            raise Refused(CloseCode.TOO_SLOW, f"nothing read for {PROGRESS_SECONDS:.0f} s") from error

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close with code and reason. A slow client gets `CLOSE_SECONDS` to read up to the close frame."""
        await self.stop_receiving()
        await self._discard_unread()
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with self._within(CLOSE_SECONDS):
                await self._sent(self._send({"type": "websocket.close", "code": int(code), "reason": short}))
        except (TimeoutError, Disconnected):
            return

    def stop(self) -> None:
        """The server stops: shorten the deadline of a pending send, and make `wait` raise `Refused`."""
        if not self._stopping.done():
            self._stopping.set_result(None)
        soon = self._loop.time() + STOP_SECONDS
        if self._deadline is not None and (self._deadline.when() or soon) > soon:
            self._deadline.reschedule(soon)

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        """A deadline for the block, which `stop` shortens.

        Raises:
            TimeoutError
        """
        try:
            async with asyncio.timeout(STOP_SECONDS if self._stopping.done() else seconds) as self._deadline:
                yield
        finally:
            self._deadline = None

    async def stop_receiving(self) -> None:
        """Cancel a pending `receive`."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait((self._receiving,))
            if not self._receiving.cancelled():
                self._receiving.exception()
            self._receiving = None

    async def _discard_unread(self) -> None:
        """Read what the client has sent: unread data makes the kernel send a reset, which destroys the close frame."""
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
        if not self._rate.allow(self._loop.time()):
            raise Refused(CloseCode.INVALID, f"more than {MAX_MESSAGES_A_SECOND} messages a second")
        text: str | None = message.get("text")
        if text is None:
            raise Refused(CloseCode.INVALID, "only text messages are read")
        content = text.encode()
        if len(content) > MAX_MESSAGE_BYTES:
            raise Refused(CloseCode.INVALID, f"a message is larger than {MAX_MESSAGE_BYTES} bytes")
        return content

    async def _sent(self, sending: Awaitable[None]) -> None:
        """
        Raises:
            Disconnected: The server raises RuntimeError (granian#922) or OSError where the client has disconnected.
        """
        try:
            await sending
        except (RuntimeError, OSError) as error:
            raise Disconnected from error
