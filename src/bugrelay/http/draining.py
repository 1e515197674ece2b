"""While a server drains, every response closes its connection, so that clients and proxies connect to another one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Send

from bugrelay.infra.lifecycle import Lifecycle


class ClosesWhileDraining:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        def send_closing(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start" and self._lifecycle.is_draining:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            return send(message)

        return self._app(scope, receive, send_closing)
