"""What a listener hears, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from bugrelay.domain.live.schemas import Closed, Resync, Update
from bugrelay.domain.live.service.hub import Hub
from bugrelay.domain.live.service.listeners import Heard, Listener
from bugrelay.http import event_stream
from bugrelay.http.request import ApiRequest

LAST_EVENT_ID = "Last-Event-ID"


def hub_of(request: ApiRequest) -> Hub:
    """The one of this process."""
    return request.app.state.live  # type: ignore[no-any-return]


def resume_from(request: ApiRequest, since: str | None) -> str | None:
    """Where the client goes on: its header where it comes back, else what it asks for."""
    return request.headers.get(LAST_EVENT_ID) or since


async def stream_of(listener: Listener, *, seconds: float) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream, until its time is up or nothing follows.

    Args:
        listener: What it hears.
        seconds: That it may last.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    comment_at = clock() + event_stream.COMMENT_SECONDS
    yield event_stream.opening(listener.position)
    while clock() < until:
        chunk, is_last = await _next_chunk(listener, by=min(comment_at, until))
        if clock() >= comment_at:
            comment_at = clock() + event_stream.COMMENT_SECONDS
            chunk += event_stream.comment(listener.position)
        if chunk:
            yield chunk
        if is_last:
            break
    yield event_stream.farewell(listener.position)


async def _next_chunk(listener: Listener, *, by: float) -> tuple[bytes, bool]:
    """What is there to be told, once something is; nothing at this time of the clock. And whether nothing follows."""
    try:
        async with asyncio.timeout_at(by):
            heard: Heard | None = await listener.next()
    except TimeoutError:
        return b"", False
    chunk = b""
    while heard is not None:
        chunk += _written(heard)
        if isinstance(heard, Closed):
            return chunk, True
        heard = listener.next_at_once() if len(chunk) < event_stream.CHUNK_BYTES else None
    return chunk, False


def _written(heard: Heard) -> bytes:
    if isinstance(heard, Update):
        return event_stream.event(heard.position, heard.json)
    if isinstance(heard, Resync):
        head = int(heard.head) if heard.head.isdecimal() else heard.head
        return event_stream.event(heard.head, msgspec.json.encode({"head": head}), name="resync")
    if heard.reason in ("unauthenticated", "forbidden"):
        return b"event: closed\ndata: %b\n\n" % msgspec.json.encode({"reason": heard.reason})
    return b""
