"""Signatures of Standard Webhooks (https://www.standardwebhooks.com), and the headers that carry them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signed_headers(event_id: str, body: bytes, *, timestamp: int, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        event_id: The same for each attempt, so that receivers recognise repeats.
        body: The body, exactly as it is sent.
        timestamp: The time of the attempt, in Unix seconds.
        secrets: Each makes one signature.
    """
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, event_id, timestamp, body) for secret in secrets),
    }


def _signature(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    digest = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
