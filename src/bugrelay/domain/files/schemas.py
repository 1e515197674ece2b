"""Structs of files and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ANY_TYPE: Final = "application/octet-stream"
"""The media type with which all files except pictures are stored and served."""


@dataclass(frozen=True)
class NewFile:
    """A file that is stored, but not referenced by a row yet."""

    storage_key: str
    size_bytes: int
    mime_type: str


@dataclass(frozen=True)
class Upload:
    """A file that a client has uploaded into `incoming/`, as announced.

    Attributes:
        key: Its storage key.
        size_bytes: The announced size.
        mime_type: The announced type. For a picture it is compared with the content; any other is never trusted.
    """

    key: str
    size_bytes: int
    mime_type: str
