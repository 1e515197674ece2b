"""Admission of WebSocket handshakes: draining, load, host, rate limits, route, origin.

What would refuse a request refuses a handshake by the same status and error body. Pages cannot read the response to a
handshake, so from the check of the origin on, the connection is accepted and closed with a close code.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import structlog
from litestar.config.cors import CORSConfig
from litestar.types import ASGIApp, Receive, Send

from bugrelay.errors import BugRelayError, RouteNotFound, ServiceUnavailable
from bugrelay.http.admission import Admission
from bugrelay.http.errors import as_bugrelay_error
from bugrelay.http.raw_responses import send_error
from bugrelay.http.request import request_id_of
from bugrelay.http.websocket import CloseCode, Disconnected, Refused, WebSocket
from bugrelay.infra.lifecycle import Lifecycle
from bugrelay.infra.logging import log_request
from bugrelay.settings import Settings

ROUTE = "/ws/{client_id}"
STOP_POLL_SECONDS = 0.1
DRAINING = "This server is stopping; connect again"

_PATH = re.compile(r"/+ws/+([^/]+)/*\Z")
_CODES = {
    400: CloseCode.INVALID,
    401: CloseCode.UNAUTHENTICATED,
    403: CloseCode.FORBIDDEN,
    404: CloseCode.FORBIDDEN,
    429: CloseCode.TOO_MANY_REQUESTS,
    503: CloseCode.UNAVAILABLE,
}

log = structlog.get_logger()

Handler = Callable[[WebSocket, str], Awaitable[None]]


class Handshakes:
    """ASGI middleware: handles WebSockets, and passes everything else on."""

    def __init__(
        self,
        app: ASGIApp,
        handler: Handler,
        admission: Admission,
        *,
        settings: Settings,
        lifecycle: Lifecycle,
    ) -> None:
        """
        Args:
            app: The application, for everything else.
            handler: Serves an accepted connection under the client id of its path, until it is cancelled or raises
                `Refused`, `Disconnected` or a `BugRelayError`.
            admission: Its limits hold for handshakes and requests together.
            settings: Settings of the process.
            lifecycle: State of the server.
        """
        self._app = app
        self._handler = handler
        self._admission = admission
        self._lifecycle = lifecycle
        self._cors = CORSConfig(allow_origins=list(settings.cors_allow_origins))
        self._own_origin = _origin_of(settings.public_url)
        self._open: set[WebSocket] = set()
        self._watch: asyncio.Task[None] | None = None

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "websocket":
            return self._app(scope, receive, send)
        # The server does not run the application in a task, and `asyncio.timeout` needs one.
        return asyncio.get_running_loop().create_task(self._handle(scope, receive, send))

    async def _handle(self, scope: Any, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 101
        try:
            client_id = await self._admit(scope)
        except Exception as error:  # as the response middleware does for requests
            known = as_bugrelay_error(error)
            if known is not error:
                log.exception("unforeseen_error", route=ROUTE)
            status = known.status
            await _refuse(known, send, request_id=request_id, path=scope["path"])
        log_request(
            method="GET",
            route=ROUTE,
            status=status,
            seconds=time.perf_counter() - started,
            request_id=request_id,
        )
        if status == 101:  # noqa: PLR2004
            await self._track(WebSocket(scope, receive, send), client_id)

    async def _track(self, socket: WebSocket, client_id: str) -> None:
        """Serve the connection, and stop it with the server."""
        self._open.add(socket)
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_lifecycle())
        try:
            await self._serve(socket, client_id)
        finally:
            self._open.discard(socket)

    async def _watch_lifecycle(self) -> None:
        while not self._lifecycle.is_draining:  # noqa: ASYNC110 - the parent says it in shared memory, which wakes nobody
            await asyncio.sleep(STOP_POLL_SECONDS)
        for socket in self._open:
            socket.stop()

    async def _admit(self, scope: Any) -> str:
        """Check everything that refuses a request; returns the client id of the path.

        Raises:
            ServiceUnavailable, ValidationFailed, RateLimitExceeded, RouteNotFound
        """
        if self._lifecycle.is_draining:
            raise ServiceUnavailable(DRAINING)
        await self._admission.admit_handshake(scope)
        found = _PATH.match(scope["path"])
        if found is None:
            raise RouteNotFound
        return found[1]

    async def _serve(self, socket: WebSocket, client_id: str) -> None:
        """Serve the connection until it is closed from either side, and log the close code."""
        started = time.perf_counter()
        refused = await self._run(socket, client_id)
        code = None if refused is None else int(refused.code)
        log.info("socket_closed", route=ROUTE, code=code, seconds=round(time.perf_counter() - started, 1))
        if refused is None:
            await socket.stop_receiving()
        else:
            await socket.close(refused.code, refused.reason)

    async def _run(self, socket: WebSocket, client_id: str) -> Refused | None:
        """Run the handler; returns how to close the connection, or None where the client has disconnected."""
        try:
            await socket.accept()
            self._check_origin(socket.scope)
            await self._handler(socket, client_id)
        except Disconnected:
            return None
        except Exception as error:  # noqa: BLE001 - a close code says what it was, and the log
            return _as_refused(error)
        return None

    def _check_origin(self, scope: Any) -> None:
        """
        Raises:
            Refused: The page's origin is not allowed. Programs send no origin, and pass.
        """
        sent = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"]
        for origin in sent:
            if origin != self._own_origin and not self._cors.is_origin_allowed(origin):
                raise Refused(CloseCode.FORBIDDEN, "pages of this origin may not connect")


def _as_refused(error: Exception) -> Refused:
    """The close code that corresponds to the status of an error."""
    if isinstance(error, Refused):
        return error
    known = as_bugrelay_error(error)
    if known.status not in _CODES:
        log.error("unforeseen_error", route=ROUTE, exc_info=error)
    return Refused(_CODES.get(known.status, CloseCode.INTERNAL_ERROR), known.message)


async def _refuse(error: BugRelayError, send: Send, *, request_id: str, path: str) -> None:
    """Refuse a handshake with an HTTP response (the ASGI extension `websocket.http.response`)."""
    error.headers |= {
        "Connection": "close",
        "X-Request-ID": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
        "Vary": "Authorization",
    }

    async def send_as_response(message: Any) -> None:
        message["type"] = f"websocket.{message['type']}"
        await send(message)

    await send_error(error, send_as_response, path=path)


def _origin_of(url: str) -> str:
    """The origin of a URL as browsers send it: scheme, host, and the port unless it is the default of the scheme."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}"
