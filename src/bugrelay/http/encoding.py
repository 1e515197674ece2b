"""How a body is named and packed: ETags and gzip."""

from __future__ import annotations

import hashlib

from bugrelay.infra.hot import GZIP_LEVEL

__all__ = ["COMPRESS_FROM_BYTES", "GZIP_LEVEL", "accepts_gzip", "weak_etag"]

COMPRESS_FROM_BYTES = 1024


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether `gzip` is named and not refused by `q=0` (RFC 9110, section 12.5.3)."""
    for item in accept_encoding.lower().split(b","):
        coding, _, weight = item.replace(b" ", b"").partition(b";q=")
        if coding == b"gzip":
            return weight.strip(b"0.") != b"" if weight else True
    return False


def weak_etag(body: bytes) -> bytes:
    """Weak, because the same content is also sent compressed."""
    return b'W/"' + hashlib.blake2b(body, digest_size=12).hexdigest().encode() + b'"'
