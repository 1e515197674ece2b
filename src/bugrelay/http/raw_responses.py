"""Errors that the middleware around Litestar sends."""

from __future__ import annotations

from litestar.types import Send

from bugrelay.errors import BugRelayError
from bugrelay.http.asgi import as_asgi, send_response
from bugrelay.http.errors import error_bytes


async def send_error(error: BugRelayError, send: Send, *, path: str) -> None:
    """Send an error, in the form of the API that the path belongs to."""
    body = error_bytes(error, path)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += as_asgi(error.headers)
    await send_response(send, status=error.status, headers=headers, body=body)
