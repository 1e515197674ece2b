"""The response cache: public responses, served again for less than a second without a query.

`cached_response` is for handlers. `ResponseCache` is middleware around all other layers, which serves those responses
before routing. It does what each layer would have done: host and limits by admission; request id, ETag, compression and
the log line as in the response middleware.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from litestar.types import ASGIApp, Receive, Send

from bugrelay.errors import BugRelayError
from bugrelay.http.admission import Admission
from bugrelay.http.asgi import as_asgi
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
from bugrelay.http.request import ApiRequest, request_id_of
from bugrelay.http.responses import SerialisedResponse
from bugrelay.infra.db.changes import ChangeDetector
from bugrelay.infra.logging import log_request
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.local_cache import CachedResponse, CacheKey, RequestKey

# Signed-in users read from the database; requests of other origins need the headers of CORS.
NOT_FOR_THESE = (b"authorization", b"origin")


async def cached_response(
    request: ApiRequest,
    *,
    group: str,
    key: str,
    load: Callable[[], Awaitable[bytes]],
    media_type: str = "application/json",
    etag_of: Callable[[bytes], bytes] = weak_etag,
) -> Response[Any]:
    """A response with the body from `load`, or with a copy less than a second old; only for public content.

    Args:
        request: An anonymous request.
        group: The group that writes invalidate.
        key: Everything that the body depends on.
        load: Reads the body from the database.
        media_type: The media type, the same for every response of the route.
        etag_of: Returns the ETag of a body, `ETAG_BYTES` long.
    """
    cache = request.platform.cache

    async def load_entry() -> bytes:
        body = await load()
        return etag_of(body) + body

    asked_at = time.monotonic()
    entry, hit = await cache.get_or_load(group=group, key=key, load=load_entry)
    route = request.scope["path_template"]
    cache_key = CacheKey(group, cache.digest(group, key), route, media_type)
    response = unpack(entry, cache_key, asked_at)
    cache.local.put((request.scope["path"], request.scope["query_string"]), response)
    headers = {"X-Cache": "HIT" if hit else "MISS", "ETag": response.etag.decode()}
    return SerialisedResponse(response.body, status_code=200, headers=headers, media_type=media_type)


class ResponseCache:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, admission: Admission, platform: Platform) -> None:
        self._app = app
        self._admission = admission
        self._cache = platform.cache
        self._changes = ChangeDetector(platform.database, platform.cache.keep_unchanged)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            key = (scope["path"], scope["query_string"])
            cache_key = self._cache.local.cache_key(key)
            if cache_key is not None and await self._served(key, cache_key, scope, send):
                return
        await self._app(scope, receive, send)

    async def _served(self, key: RequestKey, cache_key: CacheKey, scope: Any, send: Send) -> bool:
        """Send the cached response; returns False if the layers below must handle the request."""
        started = time.perf_counter()
        sent = dict(scope["headers"])
        if any(name in sent for name in NOT_FOR_THESE) or self._admission.load.is_sending_too_much:
            return False
        try:
            limits = await self._admission.admit(scope)
        except BugRelayError:
            return False  # the layers below send the error
        self._changes.check_soon()
        response = self._cache.local.get(key) or await self._from_redis(key, cache_key)
        if response is None:
            return False
        request_id = request_id_of(sent.get(b"x-request-id"))
        status, headers, body = _negotiated(response, sent)
        headers += [(b"x-request-id", request_id.encode()), *as_asgi(limits)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        with self._admission.load.sending(len(body)):
            await send_body(send, body)
        log_request(
            method="GET",
            route=cache_key.route,
            status=status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
        )
        return True

    async def _from_redis(self, key: RequestKey, cache_key: CacheKey) -> CachedResponse | None:
        """A response that was stored in Redis by this process or another one."""
        asked_at = time.monotonic()
        entry = await self._cache.stored(cache_key.group, cache_key.digest)
        if entry is None:
            return None
        response = unpack(entry, cache_key, asked_at)
        self._cache.local.put(key, response)
        return response


def unpack(entry: bytes, cache_key: CacheKey, asked_at: float) -> CachedResponse:
    """The response of a cache entry, which consists of the ETag and the body."""
    etag = entry[:ETAG_BYTES]
    headers = _headers(etag, cache_key.media_type)
    return CachedResponse(entry[ETAG_BYTES:], etag, headers, cache_key, asked_at)


def _headers(etag: bytes, media_type: str) -> Headers:
    """The headers of a cached response, whatever its encoding."""
    return [
        (b"content-type", media_type.encode()),
        (b"x-cache", b"HIT"),
        (b"etag", etag),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"public, no-cache"),
        (b"vary", b"Authorization, Accept-Encoding"),
    ]


def _negotiated(response: CachedResponse, sent: dict[bytes, bytes]) -> tuple[int, Headers, bytes]:
    """Status, headers and body: plain, compressed, or empty (304) if the client has it already."""
    if (known := sent.get(b"if-none-match")) is not None and etag_matches(known, response.etag):
        return 304, unmodified(response.headers), b""
    if len(response.body) >= COMPRESS_FROM_BYTES and accepts_gzip(sent.get(b"accept-encoding", b"")):
        length = b"%d" % len(response.gzipped)
        return (
            200,
            [*response.headers, (b"content-encoding", b"gzip"), (b"content-length", length)],
            response.gzipped,
        )
    return 200, [*response.headers, (b"content-length", b"%d" % len(response.body))], response.body
