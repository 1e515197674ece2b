"""Hot answers, given before a request is routed: their route has checked that everybody may see them.

This stands around all other layers and does, for a hot answer, what each of them would have done, and nothing else:
host and limits by the gate, request id, ETag, compression and the log line as transport has them.
"""

from __future__ import annotations

import time
from typing import Any

from litestar.types import ASGIApp, Receive, Send

from bugrelay.errors import BugRelayError
from bugrelay.http.backpressure import send_body
from bugrelay.http.encoding import (
    COMPRESS_FROM_BYTES,
    ETAG_BYTES,
    Headers,
    accepts_gzip,
    etag_matches,
    unmodified,
    weak_etag,
)
from bugrelay.http.gate import Gate, as_asgi
from bugrelay.http.request import request_id_of
from bugrelay.infra.hot import HotAnswer, HotKey, Place
from bugrelay.infra.logging import log_request
from bugrelay.infra.platform import Platform

# Whoever is signed in is answered from the database; a page of another site needs what CORS adds.
NOT_FOR_THESE = (b"authorization", b"origin")


class HotPath:
    """ASGI application around the application."""

    def __init__(self, app: ASGIApp, gate: Gate, platform: Platform) -> None:
        self._app = app
        self._gate = gate
        self._cache = platform.cache

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            key = (scope["path"], scope["query_string"])
            place = self._cache.hot.place(key)
            if place is not None and await self._answered(key, place, scope, send):
                return
        await self._app(scope, receive, send)

    async def _answered(self, key: HotKey, place: Place, scope: Any, send: Send) -> bool:
        """Send what is kept, unless the request is one for the layers below."""
        started = time.perf_counter()
        sent = dict(scope["headers"])
        if any(name in sent for name in NOT_FOR_THESE) or self._gate.load.is_sending_too_much:
            return False
        try:
            limits = await self._gate.admit(scope)
        except BugRelayError:
            return False  # refused there in due form
        hot = self._cache.hot.get(key) or await self._from_redis(key, place)
        if hot is None:
            return False
        request_id = request_id_of(sent.get(b"x-request-id"))
        status, headers, body = _fitting(hot, sent)
        headers += [(b"x-request-id", request_id.encode()), *as_asgi(limits)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        with self._gate.load.sending(len(body)):
            await send_body(send, body)
        log_request(
            method="GET",
            route=place.route,
            status=status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
        )
        return True

    async def _from_redis(self, key: HotKey, place: Place) -> HotAnswer | None:
        """An answer that another process, or this one a moment ago, has put there."""
        asked_at = time.monotonic()
        entry = await self._cache.kept(place.group, place.digest)
        if entry is None:
            return None
        hot = hot_answer(entry, place, asked_at)
        self._cache.hot.put(key, hot)
        return hot


def packed(body: bytes) -> bytes:
    """What the cache keeps: the ETag, which need not be computed again, and the body."""
    return weak_etag(body) + body


def hot_answer(entry: bytes, place: Place, asked_at: float) -> HotAnswer:
    """What the cache has kept, ready to be sent."""
    etag = entry[:ETAG_BYTES]
    return HotAnswer(entry[ETAG_BYTES:], etag, _headers(etag), place, asked_at)


def _headers(etag: bytes) -> Headers:
    """What every hot answer says of itself, in each form that it is sent in."""
    return [
        (b"content-type", b"application/json"),
        (b"x-cache", b"HIT"),
        (b"etag", etag),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"public, no-cache"),
        (b"vary", b"Authorization, Accept-Encoding"),
    ]


def _fitting(hot: HotAnswer, sent: dict[bytes, bytes]) -> tuple[int, Headers, bytes]:
    """Status, headers and body: whole, compressed, or none for who has it already."""
    if (known := sent.get(b"if-none-match")) is not None and etag_matches(known, hot.etag):
        return 304, unmodified(hot.headers), b""
    if len(hot.body) >= COMPRESS_FROM_BYTES and accepts_gzip(sent.get(b"accept-encoding", b"")):
        length = b"%d" % len(hot.gzipped)
        return 200, [*hot.headers, (b"content-encoding", b"gzip"), (b"content-length", length)], hot.gzipped
    return 200, [*hot.headers, (b"content-length", b"%d" % len(hot.body))], hot.body
