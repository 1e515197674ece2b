"""ETags, gzip, and the headers of 304 responses."""

from __future__ import annotations

import hashlib

from bugrelay.infra.redis.local_cache import GZIP_LEVEL

__all__ = [
    "COMPRESS_FROM_BYTES",
    "GZIP_LEVEL",
    "Headers",
    "accepts_gzip",
    "etag_matches",
    "unmodified",
    "weak_etag",
]

Headers = list[tuple[bytes, bytes]]

COMPRESS_FROM_BYTES = 1024
ETAG_BYTES = 28

NOT_MODIFIED_HEADERS = (
    b"etag",
    b"cache-control",
    b"vary",
    b"x-request-id",
    b"x-cache",
    b"x-rate",
    b"access-control-",  # without them a page may not read the response
)


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether Accept-Encoding names `gzip` without refusing it by `q=0` (RFC 9110, section 12.5.3)."""
    for item in accept_encoding.lower().split(b","):
        coding, _, weight = item.replace(b" ", b"").partition(b";q=")
        if coding == b"gzip":
            return weight.strip(b"0.") != b"" if weight else True
    return False


def weak_etag(body: bytes) -> bytes:
    """The ETag of a body: weak, since the same content is also sent compressed; SHA-256, which is fast in hardware."""
    return b'W/"' + hashlib.sha256(body).hexdigest()[:24].encode() + b'"'


def etag_matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether If-None-Match matches the ETag, by weak comparison (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    plain = etag.removeprefix(b"W/")
    return any(item.strip().removeprefix(b"W/") == plain for item in if_none_match.split(b","))


def unmodified(headers: Headers) -> Headers:
    """The headers of a response that its 304 has, too."""
    return [pair for pair in headers if pair[0].startswith(NOT_MODIFIED_HEADERS)]
