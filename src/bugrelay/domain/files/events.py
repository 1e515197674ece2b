"""Facts about uploaded files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileReleased:
    """No row references this file any more."""

    storage_key: str
