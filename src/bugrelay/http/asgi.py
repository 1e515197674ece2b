"""ASGI messages of a response whose body is known as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.types import Send


def as_asgi(headers: Mapping[str, object]) -> list[tuple[bytes, bytes]]:
    """Headers in the form of ASGI messages."""
    return [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]


async def send_response(send: Send, *, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a response in two messages."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
