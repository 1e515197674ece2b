"""Keys of stored files: a folder for each kind of row that they belong to, and a random secret.

What a client uploads into storage itself is in `incoming/`, under the id of its row, until it is taken over. Nothing
there is served, and what is left is deleted.
"""

from __future__ import annotations

import re
from uuid import UUID

from bugrelay.infra.security.tokens import new_secret

_INCOMING = "incoming"
_STORAGE_KEY = re.compile(r"[a-z]{1,20}/[A-Za-z0-9_-]{43}\.[a-z]{1,5}")


def new_storage_key(folder: str, *, extension: str) -> str:
    """A new key in this folder: `bugs/<secret>.png`."""
    return f"{folder}/{new_secret()}.{extension}"


def is_storage_key_of_ours(key: str) -> bool:
    """Whether the key has the form that `new_storage_key` gives; a folder or bucket may have foreign files."""
    return _STORAGE_KEY.fullmatch(key) is not None


def incoming_key(upload_id: UUID) -> str:
    return f"{_INCOMING}/{upload_id}"


def is_incoming_key(key: str) -> bool:
    return key.startswith(f"{_INCOMING}/")
