"""The port of storage.

Writes are atomic: in a folder by fsync and rename, in a bucket by one PUT. Keys are our own (`bugs/<random>.png`), so
no file has a key of another form. A client can be permitted to upload one file under one key: into a bucket by a
presigned URL, into a folder through BugRelay (`ReceivingStorage`).
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
    """The file was not stored, not even in part."""

    code = "STORAGE_UNAVAILABLE"
    status = 507
    message = "The file cannot be stored right now; try again later"


class FileMissing(KeyError):
    """No file has this key."""


class WrongSize(Exception):
    """The content has more bytes than announced, or fewer; nothing was stored."""


@dataclass(frozen=True)
class StoredFile:
    """A stored file: its size, and its bytes in chunks, which are fetched as they are consumed."""

    size_bytes: int
    chunks: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """The whole content. To be called once, and not after iterating `chunks`."""
        return b"".join([chunk async for chunk in self.chunks])


@dataclass(frozen=True)
class ListedFile:
    """A file in a listing."""

    key: str
    size_bytes: int
    modified_at: datetime


class Storage(Protocol):
    """Stores files by key."""

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:
        """Store a file durably.

        Raises:
            StorageUnavailable: Disk full, no permission, bucket unreachable, too slow.
            ValueError: The key does not have the form of storage keys.
        """

    async def get(self, key: str) -> StoredFile:
        """The file with this key.

        Raises:
            FileMissing: There is none, or the key does not have the form of storage keys.
            ServiceUnavailable: The storage does not respond; also raised while the chunks are read.
        """

    async def delete(self, key: str) -> None:
        """Delete the file durably; a missing file is no error.

        Raises:
            ServiceUnavailable: The storage does not respond.
        """

    def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        """All files whose keys come after this one, in the order of keys, without drafts.

        Raises:
            ServiceUnavailable: The storage does not respond.
        """

    async def size_of(self, key: str) -> int:
        """The size of the file with this key, in bytes.

        Raises:
            FileMissing: There is none, or the key does not have the form of storage keys.
            ServiceUnavailable: The storage does not respond.
        """

    async def copy(self, key: str, to: str) -> None:
        """Copy the file `key` durably to `to`; overwriting `key` later does not change the copy.

        Raises:
            FileMissing: There is no file `key`.
            StorageUnavailable: Nothing was stored.
            ValueError: `to` does not have the form of storage keys.
        """

    async def presigned_put(self, key: str, *, expires_in: timedelta) -> str | None:
        """A URL with which a client may PUT this one file; of any size, which the signature does not limit.

        None if the storage has no URL of its own: then it is a `ReceivingStorage`.

        Raises:
            ServiceUnavailable: The credentials of the storage are not available.
        """

    async def drop_drafts(self) -> None:
        """Delete incomplete files of processes that were killed."""


@runtime_checkable
class ReceivingStorage(Storage, Protocol):
    """A storage without a URL of its own, so that clients upload through BugRelay."""

    async def put_chunks(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes: int) -> None:
        """Store a file durably as its chunks are received, without keeping the whole file in memory.

        Raises:
            WrongSize: The chunks have more bytes than `size_bytes`, in which case the rest is not read, or fewer.
            StorageUnavailable: Nothing was stored.
            ValueError: The key does not have the form of storage keys.
        """


def unavailable(error: Exception) -> ServiceUnavailable:
    log.warning("storage_unavailable", error=plain_reason(error))
    return ServiceUnavailable()


def plain_reason(error: Exception) -> str:
    """The kind of the error, without paths, addresses or credentials."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return type(error).__name__
