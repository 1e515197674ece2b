"""Stored files as streamed responses: each chunk is read from storage when the client has read those before it."""

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

# All but printable ASCII; and characters that some clients interpret as an escape or a path.
_UNQUOTABLE = re.compile(r"[^ !#$&'()+,\-.0-9;=@A-Z\[\]^_`a-z{}~]")


def file_response(
    request: ApiRequest, stored: StoredFile, *, media_type: str, headers: dict[str, str]
) -> Response[bytes] | Stream:
    """The file; `headers` must have its ETag. Nothing is read from storage for HEAD, or for a client that has it."""
    known = request.headers.get("If-None-Match")
    if known is not None and etag_matches(known.encode("latin-1"), headers["ETag"].encode()):
        return Response(b"", media_type=media_type, headers=headers, status_code=304)
    chunks = _no_content() if request.is_head else _until_failure(stored.chunks)
    length = {"Content-Length": str(stored.size_bytes)}
    return Stream(chunks, media_type=media_type, headers=headers | length)


def content_disposition(kind: Literal["inline", "attachment"], filename: str) -> str:
    """The value of Content-Disposition (RFC 6266): the name in ASCII for old clients, and in UTF-8 for all others.

    Args:
        kind: Whether browsers may show the file.
        filename: The name, of any characters; the result is one line of ASCII.
    """
    plain = _UNQUOTABLE.sub("_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def _no_content() -> AsyncIterator[bytes]:
    """One empty chunk, so that the response is a stream with the Content-Length of its headers."""
    yield b""


async def _until_failure(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks until storage fails, which logs it; the server aborts a response that is shorter than announced."""
    try:
        async for chunk in chunks:
            yield chunk
    except (FileMissing, ServiceUnavailable):
        return
