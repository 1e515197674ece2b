"""Responses of the middleware around Litestar, as ASGI messages."""

from __future__ import annotations

from litestar.types import Send

from bugrelay.errors import BugRelayError
from bugrelay.http.errors import error_bytes


def as_asgi(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def send_error(error: BugRelayError, send: Send, *, path: str) -> None:
    """Send an error, in the form of the API that the path belongs to."""
    body = error_bytes(error, path)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += as_asgi(error.headers)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
