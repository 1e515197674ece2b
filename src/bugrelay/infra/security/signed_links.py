"""Signed links: tokens of mailed links, which are derived and not stored, and signatures of links with plain values.

A token is an HMAC of the row's id with the signing key; the row has its SHA-256. So a mail that is sent twice has the
same link, and neither the database nor a job has anything that gives access to an account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID


def link_token(key: str, *, purpose: str, link_id: UUID) -> str:
    """The token of a link: 256 bits, base64url, valid for one purpose and row."""
    digest = hmac.new(key.encode(), f"link:{purpose}:{link_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def signed_values(key: str, *, purpose: str, values: Sequence[object]) -> str:
    """A signature of values that a link has in plain text: 256 bits, base64url, valid for one purpose.

    Args:
        key: The signing key.
        purpose: What the link is for; a signature is not valid for another purpose.
        values: Ids and numbers, whose text has no colon.
    """
    signed = ":".join(["values", purpose, *map(str, values)])
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
