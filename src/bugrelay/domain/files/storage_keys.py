"""The names of stored files: a folder for each kind of thing they belong to, and a secret that nobody guesses."""

from __future__ import annotations

import re

from bugrelay.infra.security.tokens import new_secret

_STORAGE_KEY = re.compile(r"[a-z]{1,20}/[A-Za-z0-9_-]{43}\.[a-z]{1,5}")


def new_storage_key(folder: str, *, extension: str) -> str:
    """A key in this folder: `bugs/<secret>.png`."""
    return f"{folder}/{new_secret()}.{extension}"


def is_storage_key_of_ours(key: str) -> bool:
    """Whether `new_storage_key` makes such keys; a folder or bucket may hold other things."""
    return _STORAGE_KEY.fullmatch(key) is not None
