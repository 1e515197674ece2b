"""What is told of a stored file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ANY_TYPE: Final = "application/octet-stream"
"""As what all files but pictures are stored and served."""


@dataclass(frozen=True)
class NewFile:
    """A file that is stored and waits for the row that names it."""

    storage_key: str
    size_bytes: int
    mime_type: str


@dataclass(frozen=True)
class Upload:
    """What somebody has put into `incoming/`, as they announced it.

    Attributes:
        key: Where it lies.
        mime_type: As announced. One of a picture is held against what the file is; no other is ever believed.
    """

    key: str
    size_bytes: int
    mime_type: str
