"""A listener's items as a stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from bugrelay.domain.live.schemas import Closed, Resync, Update
from bugrelay.domain.live.service.hub import Hub
from bugrelay.domain.live.service.listeners import Item, Listener
from bugrelay.http import event_stream
from bugrelay.http.request import ApiRequest

LAST_EVENT_ID = "Last-Event-ID"


def hub_of(request: ApiRequest) -> Hub:
    """The hub of this process."""
    return request.app.state.live  # type: ignore[no-any-return]


def resume_from(request: ApiRequest, since: str | None) -> str | None:
    """The position to resume at: `Last-Event-ID`, which clients send when they reconnect, else the parameter."""
    return request.headers.get(LAST_EVENT_ID) or since


async def stream_of(listener: Listener, *, seconds: float) -> AsyncGenerator[bytes, None]:
    """The chunks of a stream, until its time is up or the listener is closed.

    Args:
        listener: The source of events.
        seconds: How long the stream may last.
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
    """Wait for items until `by`; returns them encoded, and whether the stream ends with them."""
    try:
        async with asyncio.timeout_at(by):
            item: Item | None = await listener.next()
    except TimeoutError:
        return b"", False
    chunk = b""
    while item is not None:
        chunk += _encoded(item)
        if isinstance(item, Closed):
            return chunk, True
        item = listener.next_nowait() if len(chunk) < event_stream.CHUNK_BYTES else None
    return chunk, False


def _encoded(item: Item) -> bytes:
    if isinstance(item, Update):
        return event_stream.event(item.position, item.json)
    if isinstance(item, Resync):
        head = int(item.head) if item.head.isdecimal() else item.head
        return event_stream.event(item.head, msgspec.json.encode({"head": head}), name="resync")
    if item.reason in ("unauthenticated", "forbidden"):
        return b"event: closed\ndata: %b\n\n" % msgspec.json.encode({"reason": item.reason})
    return b""
