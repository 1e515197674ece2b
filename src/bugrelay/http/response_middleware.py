"""The response middleware, applied to every response, whichever layer gave it.

Request ids, HEAD, caching headers and ETags, compression, and one log line for each request. It wraps the whole
application, since Litestar's own middleware does not run for unknown routes.
"""

from __future__ import annotations

import gzip
import time
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from bugrelay.http.backpressure import send_body
from bugrelay.http.encoding import (
    COMPRESS_FROM_BYTES,
    GZIP_LEVEL,
    Headers,
    accepts_gzip,
    etag_matches,
    unmodified,
    weak_etag,
)
from bugrelay.http.errors import as_bugrelay_error
from bugrelay.http.raw_responses import send_error
from bugrelay.http.request import request_id_of
from bugrelay.infra.logging import log_request
from bugrelay.infra.viewer import ANONYMOUS

log = structlog.get_logger()

COMPRESSED_TYPES = (
    b"application/json",
    b"text/",
    b"application/vnd.oai.openapi+json",
    b"application/atom+xml",
    b"application/javascript",
)


class ResponseMiddleware:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _OutgoingResponse(scope, send)
        structlog.contextvars.bind_contextvars(request_id=response.request_id)
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            scope.setdefault("state", {})["is_head"] = True
        try:
            await self._app(scope, receive, response.send)
        except Exception as error:  # of middleware; Litestar has handlers of its own
            if response.has_started:
                raise  # the server aborts the response
            log.exception("unforeseen_error", route=scope.get("path_template") or "-")
            await send_error(as_bugrelay_error(error), response.send, path=scope["path"])
        finally:
            response.log()
            structlog.contextvars.clear_contextvars()


class _OutgoingResponse:
    """One response. A body in one piece is compressed and gets its ETag here; a stream passes through."""

    def __init__(self, scope: Any, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.method: str = scope["method"]
        self.status = 0
        self.has_started = False
        self._start: Any = None
        self._began = time.perf_counter()
        self._is_logged = False
        sent = {name: value for name, value in scope["headers"] if name in _REQUEST_HEADERS}
        self.request_id = request_id_of(sent.get(b"x-request-id"))
        self._accepts_gzip = accepts_gzip(sent.get(b"accept-encoding", b""))
        self._if_none_match = sent.get(b"if-none-match")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            self.status = message["status"]
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body: bytes = message.get("body", b"")
        if self._start is None:
            await self._send_body(body, more=message.get("more_body", False))
        elif message.get("more_body", False):
            await self._send_start(self._headers())
            await self._send_body(body, more=True)
        else:
            await self._finish(body)

    def log(self) -> None:
        """Write the log line of the request, once; for a stream when it begins, since it may last for minutes."""
        if not self._is_logged:
            self._is_logged = True
            log_request(
                method=self.method,
                route=self._scope.get("path_template") or "-",
                status=self.status,
                seconds=time.perf_counter() - self._began,
                request_id=self.request_id,
            )

    def _headers(self) -> Headers:
        headers: Headers = [(name.lower(), value) for name, value in self._start.get("headers", [])]
        headers.append((b"x-request-id", self.request_id.encode()))
        headers.append((b"x-content-type-options", b"nosniff"))
        return _with_caching(headers, self._scope, self.status)

    async def _finish(self, body: bytes) -> None:
        headers = self._headers()
        etag = _value(headers, b"etag")
        if etag is None and self.status == 200 and b"no-cache" in (_value(headers, b"cache-control") or b""):  # noqa: PLR2004
            etag = weak_etag(body)
            headers.append((b"etag", etag))
        if etag is not None and self._if_none_match is not None and etag_matches(self._if_none_match, etag):
            self.status = self._start["status"] = 304
            headers = unmodified(headers)
            body = b""
        elif self._accepts_gzip and len(body) >= COMPRESS_FROM_BYTES and _compressible(headers):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers.append((b"content-encoding", b"gzip"))
        if self.status not in (204, 304):
            headers = [pair for pair in headers if pair[0] != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
        await self._send_start(headers)
        await self._send_body(body, more=False)

    async def _send_start(self, headers: Headers) -> None:
        self._start["headers"] = headers
        self.has_started = True
        await self._send(self._start)
        self._start = None
        if self._scope.get("state", {}).get("is_stream"):
            self.log()

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.method == "HEAD":
            body = b""
        await send_body(self._send, body, more=more)


_REQUEST_HEADERS = {b"x-request-id", b"accept-encoding", b"if-none-match"}


def _with_caching(headers: Headers, scope: Any, status: int) -> Headers:
    """Add `Cache-Control` if the route did not set it, and `Vary`."""
    if _value(headers, b"cache-control") is None:
        viewer = scope.get("user", ANONYMOUS) or ANONYMOUS
        public = scope["method"] == "GET" and status == 200 and not viewer.signed_in  # noqa: PLR2004
        headers.append((b"cache-control", b"public, no-cache" if public else b"private, no-store"))
    vary = [value for name, value in headers if name == b"vary"]
    headers = [pair for pair in headers if pair[0] != b"vary"]
    headers.append((b"vary", b", ".join([*vary, b"Authorization", b"Accept-Encoding"])))
    return headers


def _value(headers: Headers, wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name == wanted), None)


def _compressible(headers: Headers) -> bool:
    kind = _value(headers, b"content-type") or b""
    return kind.startswith(COMPRESSED_TYPES) and _value(headers, b"content-encoding") is None
