"""The port that files are stored by.

A file is whole or absent: the folder gets it by rename after fsync, the bucket by one PUT. Keys are our own
(`bugs/<random>.png`), so a key of another shape names nothing.
"""

from __future__ import annotations

import errno
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from bugrelay.errors import BugRelayError, ServiceUnavailable

STORAGE_KEY = re.compile(r"(?:[A-Za-z0-9_-]{1,100}/){0,4}[A-Za-z0-9_-]{1,100}(?:\.[a-z0-9]{1,5})?")
DEADLINE_SECONDS = 5.0  # of a call
LISTED_AT_ONCE = 1000

log = structlog.get_logger()


class StorageUnavailable(BugRelayError):
    """The file was not stored, and nothing of it is left."""

    code = "STORAGE_UNAVAILABLE"
    status = 507
    message = "The file cannot be stored right now; try again later"


class FileMissing(KeyError):
    """No file has this key."""


@dataclass(frozen=True)
class StoredFile:
    """A file that is there: its size, and its bytes in chunks, fetched as they are asked for."""

    size_bytes: int
    chunks: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """The whole content; once, and not after iterating `chunks`."""
        return b"".join([chunk async for chunk in self.chunks])


@dataclass(frozen=True)
class ListedFile:
    """A file as a listing names it."""

    key: str
    size_bytes: int
    modified_at: datetime


class Storage(Protocol):
    """A place for files."""

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:
        """Store a file durably.

        Raises:
            StorageUnavailable: Disk full, no permission, bucket away, too slow.
            ValueError: The key is not of the shape that this module's callers make.
        """

    async def get(self, key: str) -> StoredFile:
        """The file with this key.

        Raises:
            FileMissing: There is none, or no file can have such a key.
            ServiceUnavailable: The store does not answer; also while the chunks are read.
        """

    async def delete(self, key: str) -> None:
        """Take the file away, durably; nothing happens if it is not there.

        Raises:
            ServiceUnavailable: The store does not answer.
        """

    def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        """All files whose keys come after this one, in the order of keys, half-made ones left out.

        Raises:
            ServiceUnavailable: The store does not answer.
        """


def unavailable(error: Exception) -> ServiceUnavailable:
    log.warning("storage_unavailable", error=plain_reason(error))
    return ServiceUnavailable()


def plain_reason(error: Exception) -> str:
    """What went wrong, without paths, addresses or credentials."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return type(error).__name__
