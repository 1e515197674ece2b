"""What is told of a stored file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NewFile:
    """A file that is stored and waits for the row that names it."""

    storage_key: str
    size_bytes: int
    mime_type: str
