"""Tokens of mailed links, derived and not stored, and signatures of links that carry what they are for in the open.

A token is an HMAC of the row's id under the signing key; the row keeps its SHA-256. So the same mail sent twice has
the same link, and neither the database nor a job holds anything that opens an account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID


def link_token(key: str, *, purpose: str, link_id: UUID) -> str:
    """256 bits, good for one purpose and row."""
    digest = hmac.new(key.encode(), f"link:{purpose}:{link_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def signed_values(key: str, *, purpose: str, values: Sequence[object]) -> str:
    """A signature of these values, which a link carries in the open: 256 bits, good for one purpose.

    Args:
        key: The signing key.
        purpose: What the link is for; no two purposes have signatures in common.
        values: Ids and numbers, whose text has no colon.
    """
    signed = ":".join(["values", purpose, *map(str, values)])
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
