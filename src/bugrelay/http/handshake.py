"""What the handshake of a WebSocket must pass: draining, load, host, rate limits, route, origin.

A handshake that would be refused as a request is refused as one, in the one error body. A page sees no response to a
handshake, so from the origin on a refusal is a close frame.
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
    400: CloseCode.NOT_UNDERSTOOD,
    401: CloseCode.UNAUTHENTICATED,
    403: CloseCode.FORBIDDEN,
    404: CloseCode.FORBIDDEN,
    429: CloseCode.TOO_MANY,
    503: CloseCode.UNAVAILABLE,
}

log = structlog.get_logger()

Talk = Callable[[WebSocket, str], Awaitable[None]]


class Handshakes:
    """ASGI application around the application: takes WebSockets, and lets everything else pass."""

    def __init__(
        self, app: ASGIApp, talk: Talk, admission: Admission, *, settings: Settings, lifecycle: Lifecycle
    ) -> None:
        """
        Args:
            app: For everything else.
            talk: Has the conversation on an open connection, under the client id of its path, until it is cancelled or
                raises `Refused`, `Disconnected` or an error of ours.
            admission: Its limits hold for handshakes and requests together.
            settings: Of the process.
            lifecycle: Of the server.
        """
        self._app = app
        self._talk = talk
        self._admission = admission
        self._lifecycle = lifecycle
        self._others = CORSConfig(allow_origins=list(settings.cors_allow_origins))
        self._ours = _origin_of(settings.public_url)
        self._open: set[WebSocket] = set()
        self._watch: asyncio.Task[None] | None = None

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "websocket":
            return self._app(scope, receive, send)
        # The server runs its application in no task, and a deadline cancels one.
        return asyncio.get_running_loop().create_task(self._take(scope, receive, send))

    async def _take(self, scope: Any, receive: Receive, send: Send) -> None:
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
            await self._hold(WebSocket(scope, receive, send), client_id)

    async def _hold(self, socket: WebSocket, client_id: str) -> None:
        """Among those that are stopped with the server."""
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
        """The client id of its path.

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
        """Until the connection is closed, by whomever; a line in the log says why, as soon as that is decided."""
        started = time.perf_counter()
        refused = await self._outcome(socket, client_id)
        code = None if refused is None else int(refused.code)
        log.info("socket_closed", route=ROUTE, code=code, seconds=round(time.perf_counter() - started, 1))
        if refused is None:
            await socket.stop_receiving()
        else:
            await socket.close(refused.code, refused.reason)

    async def _outcome(self, socket: WebSocket, client_id: str) -> Refused | None:
        """How it is to be closed; None where the client has gone."""
        try:
            await socket.accept()
            self._check_origin(socket.scope)
            await self._talk(socket, client_id)
        except Disconnected:
            return None
        except Exception as error:  # noqa: BLE001 - a close code says what it was, and the log
            return _as_refused(error)
        return None

    def _check_origin(self, scope: Any) -> None:
        """
        Raises:
            Refused: A page of a site that may not call us has asked; programs send no origin.
        """
        sent = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"]
        for origin in sent:
            if origin != self._ours and not self._others.is_origin_allowed(origin):
                raise Refused(CloseCode.FORBIDDEN, "pages of this origin may not connect")


def _as_refused(error: Exception) -> Refused:
    """The close code that says of a connection what a status says of a request."""
    if isinstance(error, Refused):
        return error
    known = as_bugrelay_error(error)
    if known.status not in _CODES:
        log.error("unforeseen_error", route=ROUTE, exc_info=error)
    return Refused(_CODES.get(known.status, CloseCode.INTERNAL_ERROR), known.message)


async def _refuse(error: BugRelayError, send: Send, *, request_id: str, path: str) -> None:
    """Answer a handshake as a request would be answered (the ASGI extension `websocket.http.response`)."""
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
    """Scheme, host and a port that is not the scheme's, as browsers write an origin."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}"
