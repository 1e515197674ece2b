"""What a request must pass before it is routed: host, load, rate limits; and the deadline it is answered within."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Send

from bugrelay.errors import BugRelayError, RateLimitExceeded, ServiceUnavailable, ValidationFailed
from bugrelay.http.errors import error_bytes
from bugrelay.http.request import has_body
from bugrelay.http.routes import route_of
from bugrelay.infra.client_address import client_address, limit_identity
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.rate_limits import Bucket, Decision, LimitName

log = structlog.get_logger()

RESPONSE_SECONDS = (
    5.5  # of our own time, waiting for the body left out; the contract says 6 from its last byte
)
BODY_SECONDS = 50  # for a body to arrive; the contract says 60
BODY_BYTES_HELD = 256 * 1024 * 1024  # by all requests of a process together
RESPONSE_BYTES_HELD = 256 * 1024 * 1024  # by all clients of a process that have yet to read them
UNSHED = "/health"  # an overloaded process lives

OVERLOADED = "BugRelay is overloaded; try again shortly"

_SLASHES = re.compile("/{2,}")
_PARAMETER = re.compile(r"\{[^}]*\}")


class RouteBuckets:
    """Which rate limits a request falls under besides the general one; routes name them in their contract."""

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


@dataclass
class Load:
    """What this process is busy with.

    A request that waits for its body, or for its client to read the response, keeps us busy only by the bytes held.
    """

    requests: int = 0
    body_bytes: int = 0
    response_bytes: int = 0

    @property
    def is_sending_too_much(self) -> bool:
        """Whether clients that do not read hold as much of their responses as we can bear."""
        return self.response_bytes > RESPONSE_BYTES_HELD

    @contextmanager
    def sending(self, held_bytes: int) -> Iterator[None]:
        """While a response of this size waits for its client to read."""
        self.response_bytes += held_bytes
        try:
            yield
        finally:
            self.response_bytes -= held_bytes


class Admission:
    """ASGI application between CORS and Litestar."""

    def __init__(self, app: ASGIApp, platform: Platform, buckets: RouteBuckets) -> None:
        self._app = app
        self._platform = platform
        self._buckets = buckets
        self._general = platform.buckets["general"]
        self.load = Load()
        self._max_in_flight = platform.settings.max_requests_in_flight

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.load.requests += 1
        # Routing reads `//api//v1/bugs` as `/api/v1/bugs`; limits must, too.
        scope["path"] = _SLASHES.sub("/", scope["path"])
        try:
            await self._pass(scope, receive, send)
        except BugRelayError as error:
            await send_error(error, send)
        finally:
            self.load.requests -= 1

    async def _pass(self, scope: Any, receive: Receive, send: Send) -> None:
        is_overloaded = self.load.requests > self._max_in_flight or self.load.is_sending_too_much
        if is_overloaded and scope["path"] != UNSHED:
            raise ServiceUnavailable(OVERLOADED)
        headers = await self.admit(scope)
        await RequestTimeout(self._app, scope, receive, send, load=self.load, headers=headers).run()

    async def admit(self, scope: Any) -> dict[str, str]:
        """Charge a request to its limits, once, whoever asks; gives the headers that tell of them.

        Raises:
            ValidationFailed: It was sent to a name that is not ours, or to several.
            RateLimitExceeded
        """
        state = scope.setdefault("state", {})
        if "limits" not in state:
            self._check_host(scope)
            state["client_address"] = self._client_address(scope)
            state["limits"] = await self._charge(scope, state["client_address"])
        limits: dict[str, str] = state["limits"]
        return limits

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
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) > 1:  # RFC 9112, section 3.2
            raise ValidationFailed.of("Host", "must be sent once")
        allowed = self._platform.settings.allowed_hosts
        if not allowed:
            return
        if not hosts or not {hosts[0], hosts[0].rsplit(":", 1)[0]} & set(allowed):
            raise ValidationFailed.of("Host", "is not a name of this site")

    def _client_address(self, scope: Any) -> str:
        forwarded = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
        ]
        peer = scope["client"][0] if scope.get("client") else None
        return client_address(peer, forwarded, self._platform.settings.trusted_proxies)

    def _buckets_of(self, scope: Any) -> list[Bucket]:
        of_api = scope["path"].startswith("/api/v1")
        general = [self._general] if self._general and of_api else []
        return [*general, *self._buckets.of(scope["method"], scope["path"])]


def rate_headers(decision: Decision) -> dict[str, str]:
    """The tightest limit that applied."""
    return {
        "X-RateLimit-Limit": str(decision.limit),
        "X-RateLimit-Remaining": str(decision.remaining),
        "X-RateLimit-Reset": str(decision.reset_seconds),
    }


def as_asgi(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def send_error(error: BugRelayError, send: Send) -> None:
    body = error_bytes(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += as_asgi(error.headers)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class RequestTimeout:
    """One request and its answer, within two deadlines: one for the sender's body, one for our own work.

    While we wait for the body our own clock stands still: no answer is later than `RESPONSE_SECONDS` after the last
    byte of the body, and a slow sender does not use up our time. At a deadline we answer ourselves and do not wait
    for the cancelled task to clean up.
    """

    def __init__(
        self, app: ASGIApp, scope: Any, receive: Receive, send: Send, *, load: Load, headers: dict[str, str]
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._load = load
        self._body_bytes = 0
        self._more_headers = headers
        self._answered = False
        self._abandoned = False
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._respond_by = now + RESPONSE_SECONDS
        self._body_by = now + BODY_SECONDS
        self._body_is_here = not has_body(scope)
        self._too_late: asyncio.Future[BugRelayError] = self._loop.create_future()
        self._timer = self._loop.call_at(self._respond_by, self._give_up, ServiceUnavailable())

    async def run(self) -> None:
        task: asyncio.Task[None] = self._loop.create_task(self._app(self._scope, self.receive, self.send))  # type: ignore[arg-type]
        try:
            await asyncio.wait((task, self._too_late), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._timer.cancel()
            self._load.body_bytes -= self._body_bytes
        if task.done() or self._answered:
            await task  # done, or an answer that is on its way: a long file takes the time it takes
            return
        self._abandoned = True
        task.cancel()
        task.add_done_callback(_note_outcome)
        error = self._too_late.result()
        log.warning("deadline_passed", path=self._scope["path"], code=error.code)
        error.headers |= self._more_headers
        await send_error(error, self._send)

    async def receive(self) -> Any:
        if self._body_is_here:
            return await self._receive()
        message = await self._wait_for_body()
        if message["type"] != "http.request":
            raise ValidationFailed.of("body", "must arrive in full")
        self._body_is_here = not message.get("more_body", False)
        self._body_bytes += len(message.get("body", b""))
        self._load.body_bytes += len(message.get("body", b""))
        if self._load.body_bytes > BODY_BYTES_HELD:
            raise ServiceUnavailable(OVERLOADED)
        return message

    async def _wait_for_body(self) -> Any:
        began = self._loop.time()
        self._set_timer(self._body_by, ValidationFailed.of("body", f"must arrive within {BODY_SECONDS} s"))
        self._load.requests -= 1
        try:
            return await self._receive()
        finally:
            self._load.requests += 1
            self._respond_by += self._loop.time() - began
            self._set_timer(self._respond_by, ServiceUnavailable())

    async def send(self, message: Message) -> None:
        if self._abandoned:
            return
        if message["type"] == "http.response.start":
            self._answered = True
            message["headers"] = [*message.get("headers", []), *as_asgi(self._more_headers)]
        self._load.requests -= 1  # whoever does not read takes no place from others
        try:
            with self._load.sending(_body_bytes(message)):
                await self._send(message)
        finally:
            self._load.requests += 1

    def _set_timer(self, at: float, error: BugRelayError) -> None:
        self._timer.cancel()
        if not (self._answered or self._abandoned):
            self._timer = self._loop.call_at(at, self._give_up, error)

    def _give_up(self, error: BugRelayError) -> None:
        if not self._too_late.done():
            self._too_late.set_result(error)


def _body_bytes(message: Any) -> int:
    return len(message.get("body", b""))


def _note_outcome(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("abandoned_request_failed", cause=repr(task.exception())[:300])
