"""Admission of a request before it is routed: load, host, client address, rate limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Send

from bugrelay.errors import BugRelayError, RateLimitExceeded, ServiceUnavailable, ValidationFailed
from bugrelay.http.load import OVERLOADED, Load
from bugrelay.http.raw_responses import send_error
from bugrelay.http.request_timeout import RequestTimeout
from bugrelay.http.routes import route_of
from bugrelay.infra.client_address import client_address, limit_identity
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.rate_limits import Bucket, Decision, LimitName

UNSHED = "/health"  # never shed: an overloaded process is alive

_SLASHES = re.compile("/{2,}")
_PARAMETER = re.compile(r"\{[^}]*\}")


class RouteBuckets:
    """The rate limits of a request besides the general one, by the contract of its route."""

    def __init__(
        self, routes: Iterable[tuple[str, HTTPRouteHandler]], buckets: Mapping[LimitName, Bucket | None]
    ) -> None:
        self._rules: list[tuple[str, re.Pattern[str], tuple[Bucket, ...]]] = []
        for path, handler in routes:
            named = [buckets[name] for name in route_of(handler).limits]
            wanted = tuple(bucket for bucket in named if bucket is not None)
            pattern = re.compile(_PARAMETER.sub("[^/]+", path) + r"/?\Z")
            self._rules += [(str(method), pattern, wanted) for method in handler.http_methods if wanted]

    def of(self, method: str, path: str) -> tuple[Bucket, ...]:
        for wanted_method, pattern, buckets in self._rules:
            if method == wanted_method and pattern.match(path):
                return buckets
        return ()


class Admission:
    """ASGI application between CORS and Litestar."""

    def __init__(self, app: ASGIApp, platform: Platform, buckets: RouteBuckets) -> None:
        self._app = app
        self._platform = platform
        self._buckets = buckets
        self._general = platform.buckets["general"]
        self.load = Load()
        self._max_in_flight = platform.settings.max_requests_in_flight
        self._allowed_hosts = frozenset(platform.settings.allowed_hosts)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.load.requests += 1
        # Routing treats `//api//v1/bugs` as `/api/v1/bugs`; limits must do the same.
        scope["path"] = _SLASHES.sub("/", scope["path"])
        try:
            await self._pass(scope, receive, send)
        except BugRelayError as error:
            await send_error(error, send, path=scope["path"])
        finally:
            self.load.requests -= 1

    async def admit_handshake(self, scope: Any) -> None:
        """Apply the same limits to the handshake of a WebSocket, which is a request until it is answered.

        Raises:
            ServiceUnavailable, ValidationFailed, RateLimitExceeded
        """
        self.load.requests += 1
        try:
            self._check_load(scope)
            await self.admit(scope)
        finally:
            self.load.requests -= 1

    async def _pass(self, scope: Any, receive: Receive, send: Send) -> None:
        self._check_load(scope)
        headers = await self.admit(scope)
        await RequestTimeout(self._app, scope, receive, send, load=self.load, headers=headers).run()

    async def admit(self, scope: Any) -> dict[str, str]:
        """Check the host and charge the rate limits, once for each request; returns the headers about the limits.

        Raises:
            ValidationFailed: The Host header is not one of ours, or was sent several times.
            RateLimitExceeded
        """
        state = scope.setdefault("state", {})
        if "limits" not in state:
            self._check_host(scope)
            state["client_address"] = self._client_address(scope)
            state["limits"] = await self._charge(scope, state["client_address"])
        limits: dict[str, str] = state["limits"]
        return limits

    def _check_load(self, scope: Any) -> None:
        is_overloaded = self.load.requests > self._max_in_flight or self.load.is_sending_too_much
        if is_overloaded and scope["path"] != UNSHED:
            raise ServiceUnavailable(OVERLOADED)

    async def _charge(self, scope: Any, address: str) -> dict[str, str]:
        buckets = self._buckets_of(scope)
        if not buckets:
            return {}
        decision = await self._platform.limiter.hit([(bucket, limit_identity(address)) for bucket in buckets])
        if not decision.allowed:
            headers = {"Retry-After": str(decision.retry_after_seconds), **rate_headers(decision)}
            raise RateLimitExceeded(
                f"Too many requests; try again in {decision.retry_after_seconds} s", headers=headers
            )
        return rate_headers(decision)

    def _check_host(self, scope: Any) -> None:
        sent = [value for name, value in scope["headers"] if name == b"host"]
        if len(sent) > 1:  # RFC 9112, section 3.2
            raise ValidationFailed.of("Host", "must be sent once")
        if not self._allowed_hosts:
            return
        host = sent[0].decode("latin-1").lower() if sent else ""
        if self._allowed_hosts.isdisjoint((host, host.rsplit(":", 1)[0])):
            raise ValidationFailed.of("Host", "is not a name of this site")

    def _client_address(self, scope: Any) -> str:
        forwarded = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
        ]
        peer = scope["client"][0] if scope.get("client") else None
        return client_address(peer, forwarded, self._platform.settings.trusted_proxies)

    def _buckets_of(self, scope: Any) -> list[Bucket]:
        is_handshake = scope["type"] == "websocket"
        is_general = is_handshake or scope["path"].startswith("/api/")
        general = [self._general] if self._general and is_general else []
        return general if is_handshake else [*general, *self._buckets.of(scope["method"], scope["path"])]


def add_rate_headers(scope: Any, decision: Decision) -> None:
    """Put a limit that was charged after admission into the response's headers, if it is the tightest."""
    headers: dict[str, str] = scope["state"]["limits"]
    if decision.remaining <= int(headers.get("X-RateLimit-Remaining", decision.remaining)):
        headers.update(rate_headers(decision))


def rate_headers(decision: Decision) -> dict[str, str]:
    """The headers about the tightest limit that applied."""
    return {
        "X-RateLimit-Limit": str(decision.limit),
        "X-RateLimit-Remaining": str(decision.remaining),
        "X-RateLimit-Reset": str(decision.reset_seconds),
    }
