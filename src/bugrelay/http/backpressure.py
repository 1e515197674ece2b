"""Back-pressure: a large body is handed to the server in pieces, each when the client has room for it.

The server takes what it is given at once, copies it, and keeps the copy until the client has read it. Given pieces, it
buffers a handful of them, and `send` waits: so a client that does not read holds a quarter of a megabyte at most.
"""

from __future__ import annotations

from litestar.types import Send

MAX_UNDIVIDED_BYTES = 128 * 1024
PIECE_BYTES = 32 * 1024


async def send_body(send: Send, body: bytes, *, more: bool = False) -> None:
    """Send a body, or a part of one that `more` parts follow, and return when the server has taken all of it."""
    if len(body) > MAX_UNDIVIDED_BYTES or (more and len(body) > PIECE_BYTES):
        last = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for offset in range(0, last, PIECE_BYTES):
            piece = body[offset : offset + PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        body = body[last:]
    await send({"type": "http.response.body", "body": body, "more_body": more})
