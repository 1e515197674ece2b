"""The port that files are stored by.

A file is whole or absent: the folder gets it by rename after fsync, the bucket by one PUT. Keys are our own
(`bugs/<random>.png`), so a key of another shape names nothing. Somebody outside can be let put one file under one key:
into a bucket by a URL that is signed for it, into a folder through us.
"""

from __future__ import annotations

import errno
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

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


class WrongSize(Exception):
    """What was sent has more bytes than announced, or fewer; nothing of it is left."""


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

    async def size_of(self, key: str) -> int:
        """The bytes of the file with this key.

        Raises:
            FileMissing: There is none, or no file can have such a key.
            ServiceUnavailable: The store does not answer.
        """

    async def copy(self, key: str, to: str) -> None:
        """Store what the file `key` is now as the file `to`, durably; what is put under `key` later changes nothing.

        Raises:
            FileMissing: There is no file `key`.
            StorageUnavailable: Nothing was stored.
            ValueError: `to` is no key.
        """

    async def presigned_put(self, key: str, *, expires_in: timedelta) -> str | None:
        """A URL at which whoever has it may PUT this one file; of any size, for the signature does not say one.

        None where the store has no address of its own: then it is a `ReceivingStorage`.

        Raises:
            ServiceUnavailable: The store's credentials cannot be had.
        """

    async def drop_drafts(self) -> None:
        """Take away what processes that were killed had written half."""


@runtime_checkable
class ReceivingStorage(Storage, Protocol):
    """A store without an address of its own, so that what others may put into it passes through us."""

    async def put_chunks(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes: int) -> None:
        """Store a file that comes in chunks, durably, with no more of it in memory than a piece.

        Raises:
            WrongSize: The chunks have more bytes than `size_bytes`, which ends the reading, or fewer.
            StorageUnavailable: Nothing was stored.
            ValueError: The key is not of the shape that this module's callers make.
        """


def unavailable(error: Exception) -> ServiceUnavailable:
    log.warning("storage_unavailable", error=plain_reason(error))
    return ServiceUnavailable()


def plain_reason(error: Exception) -> str:
    """What went wrong, without paths, addresses or credentials."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return type(error).__name__
