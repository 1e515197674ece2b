"""Server-sent events: a streaming response that lasts for minutes.

When it begins it leaves the requests in flight, and the request timeout no longer applies. One task writes to it; a
client that reads nothing for `WRITE_SECONDS` is disconnected.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Any

import structlog
from litestar import Response
from litestar.types import Receive, Send

MEDIA_TYPE = "text/event-stream"
COMMENT_SECONDS = 25.0
LIFE_SECONDS = 15 * 60.0
RETRY_MILLISECONDS = 1000  # after a connection breaks; `farewell` sets another one for those that we end
MAX_PAUSE_MILLISECONDS = 5000
WRITE_SECONDS = 10.0
CHUNK_BYTES = 32 * 1024

log = structlog.get_logger()

_SEPARATORS = [(mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\x85\u2028\u2029"]
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would wait for more


def opening(position: str) -> bytes:
    """The first chunk: it flushes the headers, and lets a client resume before its first event."""
    return b"retry: %d\nid: %b\n\n" % (RETRY_MILLISECONDS, position.encode())


def event(position: str, data: bytes, *, name: str | None = None) -> bytes:
    """One event; `data` is JSON in one line.

    By the standard only CR and LF end a line, but many clients also split at Unicode line separators, which JSON may
    contain unescaped: so these are escaped.
    """
    for separator, escape in _SEPARATORS:
        if separator in data:
            data = data.replace(separator, escape)
    named = b"event: %b\n" % name.encode() if name else b""
    return named + b"id: %b\ndata: %b\n\n" % (position.encode(), data)


def comment(position: str) -> bytes:
    """A heartbeat, with the position up to which nothing was missed."""
    return b": \nid: %b\n\n" % position.encode()


def farewell(position: str) -> bytes:
    """The last chunk: clients reconnect after a random pause, so not all at once."""
    pause = random.randrange(MAX_PAUSE_MILLISECONDS)  # noqa: S311 - no secret
    return b"retry: %d\nid: %b\n\n" % (pause, position.encode())


class EventStream(Response[Any]):
    """A streaming response: each chunk is sent when the client has read those before (back-pressure).

    Args:
        chunks: The encoded events.
        held: What the stream holds; released when it ends, by whichever side.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], held: ExitStack) -> None:
        super().__init__(content=None, media_type=MEDIA_TYPE)
        self._chunks = chunks
        self._held = held

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._stream

    async def _stream(self, scope: Any, receive: Receive, send: Send) -> None:
        with self._held:
            await self._send_stream(scope, receive, send)

    async def _send_stream(self, scope: Any, receive: Receive, send: Send) -> None:
        state, started = scope["state"], time.perf_counter()
        state["begin_stream"]()
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        ended = "by us"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if not state.get("is_head"):
                ended = await self._send_until_gone(receive, send)
            if ended == "by us":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._chunks.aclose()
            if not state.get("is_head"):
                log.info(
                    "stream_ended",
                    route=scope.get("path_template") or "-",
                    seconds=round(time.perf_counter() - started, 1),
                    ended=ended,
                )

    async def _send_until_gone(self, receive: Receive, send: Send) -> str:
        """Returns why the stream has ended: "by us", "by the client", or "too slow"."""
        gone = asyncio.ensure_future(_until_disconnected(receive))
        writing = asyncio.ensure_future(self._send_all(send))
        try:
            await asyncio.wait((gone, writing), return_when=asyncio.FIRST_COMPLETED)
            return await writing if writing.done() else "by the client"
        finally:
            for task in (gone, writing):
                task.cancel()
            await asyncio.gather(gone, writing, return_exceptions=True)

    async def _send_all(self, send: Send) -> str:
        async for chunk in self._chunks:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                return "too slow"
        return "by us"


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
