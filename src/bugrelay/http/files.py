"""Stored files as responses: a chunk is read from storage when the client has taken those before it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from bugrelay.errors import ServiceUnavailable
from bugrelay.http.encoding import etag_matches
from bugrelay.http.request import ApiRequest
from bugrelay.infra.storage.port import FileMissing, StoredFile

_UNQUOTABLE = re.compile(
    r"[^ !#$&'()+,\-.0-9;=@A-Z\[\]^_`a-z{}~]"
)  # and what some clients read an escape or path into


def file_response(
    request: ApiRequest, stored: StoredFile, *, media_type: str, headers: dict[str, str]
) -> Response[bytes] | Stream:
    """The file, under the ETag that `headers` must name; nothing of it is read for HEAD or for who has it already."""
    known = request.headers.get("If-None-Match")
    if known is not None and etag_matches(known.encode("latin-1"), headers["ETag"].encode()):
        return Response(b"", media_type=media_type, headers=headers, status_code=304)
    chunks = _no_content() if request.is_head else _until_broken_off(stored.chunks)
    length = {"Content-Length": str(stored.size_bytes)}
    return Stream(chunks, media_type=media_type, headers=headers | length)


def content_disposition(kind: Literal["inline", "attachment"], filename: str) -> str:
    """The header that names a file (RFC 6266): in ASCII for the oldest clients, and as it is for all others.

    Args:
        kind: Whether a browser may show it.
        filename: Of any characters; the result is one line of ASCII, whatever they are.
    """
    plain = _UNQUOTABLE.sub("_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def _no_content() -> AsyncIterator[bytes]:
    """One empty chunk, so that the response is a stream of the length that its headers say."""
    yield b""


async def _until_broken_off(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks until storage fails, which it has logged: the server breaks off what is shorter than announced."""
    try:
        async for chunk in chunks:
            yield chunk
    except (FileMissing, ServiceUnavailable):
        return
