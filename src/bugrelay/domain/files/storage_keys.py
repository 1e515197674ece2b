"""The names of stored files: a folder for each kind of thing they belong to, and a secret that nobody guesses.

What somebody puts into storage themselves lies in `incoming/` under the id of its row, until it is taken over. Nothing
there is served, and nothing there stays.
"""

from __future__ import annotations

import re
from uuid import UUID

from bugrelay.infra.security.tokens import new_secret

_INCOMING = "incoming"
_STORAGE_KEY = re.compile(r"[a-z]{1,20}/[A-Za-z0-9_-]{43}\.[a-z]{1,5}")


def new_storage_key(folder: str, *, extension: str) -> str:
    """A key in this folder: `bugs/<secret>.png`."""
    return f"{folder}/{new_secret()}.{extension}"


def is_storage_key_of_ours(key: str) -> bool:
    """Whether `new_storage_key` makes such keys; a folder or bucket may hold other things."""
    return _STORAGE_KEY.fullmatch(key) is not None


def incoming_key(upload_id: UUID) -> str:
    return f"{_INCOMING}/{upload_id}"


def is_incoming_key(key: str) -> bool:
    return key.startswith(f"{_INCOMING}/")
