"""CORS: which origins may call the API, preflights, and headers on every response.

Litestar's own middleware runs inside the application, so errors of admission would lack these headers, and preflights
would be charged to the user's rate limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp, Message, Method, Receive, Send

from bugrelay.errors import ValidationFailed
from bugrelay.http.asgi import as_asgi, send_response
from bugrelay.http.raw_responses import send_error

METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALLOWED_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Company-ID",
    "X-Request-ID",
]
EXPOSED_HEADERS = [
    "ETag",
    "Retry-After",
    "X-Cache",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
    "Idempotency-Replayed",
]


class Cors:
    """ASGI application around admission."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._config = CORSConfig(
            allow_origins=list(origins),
            allow_methods=[*METHODS],
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )
        preflight = self._config.preflight_headers
        self._requestable = set(preflight["Access-Control-Allow-Headers"].lower().split(", "))

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        sent = dict(scope["headers"])
        origin = sent.get(b"origin", b"").decode("latin-1")
        if scope["type"] != "http" or not origin:
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._answer_preflight(origin, sent, send, path=scope["path"])
        else:
            await self._app(scope, receive, self._with_headers(origin, send))

    async def _answer_preflight(
        self, origin: str, sent: dict[bytes, bytes], send: Send, *, path: str
    ) -> None:
        refusal = self._refusal(origin, sent)
        if refusal is not None:
            await send_error(refusal, send, path=path)
            return
        headers = as_asgi(self._config.preflight_headers | self._allowed(origin))
        await send_response(send, status=204, headers=headers, body=b"")

    def _refusal(self, origin: str, sent: dict[bytes, bytes]) -> ValidationFailed | None:
        method = sent.get(b"access-control-request-method", b"").decode("latin-1")
        wanted = sent.get(b"access-control-request-headers", b"").decode("latin-1").lower()
        if not self._config.is_origin_allowed(origin):
            return ValidationFailed.of("Origin", "is not allowed to call")
        if method and method not in METHODS:
            return ValidationFailed.of("Access-Control-Request-Method", "is not allowed")
        if {name.strip() for name in wanted.split(",") if name.strip()} - self._requestable:
            return ValidationFailed.of("Access-Control-Request-Headers", "names headers that are not allowed")
        return None

    def _with_headers(self, origin: str, send: Send) -> Send:
        more = as_asgi(self._config.simple_headers | self._allowed(origin))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        return send_with_headers

    def _allowed(self, origin: str) -> dict[str, str]:
        if self._config.is_allow_all_origins or not self._config.is_origin_allowed(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
