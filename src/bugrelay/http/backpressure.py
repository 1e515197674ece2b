"""Back-pressure: a large body is sent in chunks, as fast as the client reads.

The server copies what it is given at once, and keeps the copy until the client has read it. Of chunks it buffers only a
few, and then `send` waits: so a client that does not read takes a quarter of a megabyte at most.
"""

from __future__ import annotations

from litestar.types import Send

MAX_UNDIVIDED_BYTES = 128 * 1024
PIECE_BYTES = 32 * 1024


async def send_body(send: Send, body: bytes, *, more: bool = False) -> None:
    """Send a body, or with `more` a part of one, and return when the server has accepted all of it."""
    if len(body) > MAX_UNDIVIDED_BYTES or (more and len(body) > PIECE_BYTES):
        last = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for offset in range(0, last, PIECE_BYTES):
            piece = body[offset : offset + PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        body = body[last:]
    await send({"type": "http.response.body", "body": body, "more_body": more})
