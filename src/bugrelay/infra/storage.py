"""Where uploaded files are kept: a folder or an S3 bucket behind one port, chosen by `UPLOAD_URL`.

A file is whole or absent: the folder gets it by rename after fsync, the bucket by one PUT. Keys are our own
(`bugs/<random>.png`), so a key of another shape names nothing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError as ObstoreError
from obstore.store import S3Store

from bugrelay.errors import BugRelayError, ServiceUnavailable
from bugrelay.infra.file_permissions import close_to_others, create_private_file
from bugrelay.infra.threads import BoundedThreads
from bugrelay.settings import SettingError

if TYPE_CHECKING:
    from obstore.store import S3Config

log = structlog.get_logger()
T = TypeVar("T")

_KEY = re.compile(r"(?:[A-Za-z0-9_-]{1,100}/){0,4}[A-Za-z0-9_-]{1,100}(?:\.[a-z0-9]{1,5})?")
_CHUNK_BYTES = 64 * 1024  # what a reader holds who does not read
_DEADLINE_SECONDS = 5.0
_LISTED_AT_ONCE = 1000
_INCOMING = ".incoming"
_LEFTOVER_AGE_SECONDS = 3600
_S3_CHUNK_BYTES = 256 * 1024  # more, because each is a request
_S3_OPTIONS = {"endpoint", "region", "access_key_id", "secret_access_key"}


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


def storage_from(upload_url: str) -> Storage:
    """The storage that `UPLOAD_URL` names.

    Raises:
        SettingError: The URL cannot be used.
    """
    if upload_url.startswith("s3://"):
        return _s3_from(upload_url)
    # Not urlsplit: a folder may well have a # or ? in its name.
    path = Path(unquote(upload_url.removeprefix("file://").removeprefix("localhost")))
    if not upload_url.startswith("file://") or not path.is_absolute():
        raise SettingError("UPLOAD_URL must be s3://bucket/prefix?endpoint=… or file:// and an absolute path")
    return LocalStorage(path)


class LocalStorage:
    """Files of mode 0600 in a folder of mode 0700, on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING
        self._threads = BoundedThreads("storage", workers=4, waiting=500, deadline_seconds=_DEADLINE_SECONDS)
        close_to_others(root)
        self._drop_leftovers()

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:  # noqa: ARG002 - a folder has no types
        path = self._path(key)
        if path is None:
            raise ValueError(f"not a storage key: {key!r}")
        given_up = threading.Event()
        try:
            await self._threads.run(self._write, path, content, given_up)
        except (OSError, ServiceUnavailable) as error:
            given_up.set()
            log.warning("storage_write_failed", error=_plain(error))
            raise StorageUnavailable from error
        except asyncio.CancelledError:
            given_up.set()
            raise

    async def get(self, key: str) -> StoredFile:
        path = self._path(key)
        if path is None:
            raise FileMissing(key)
        try:
            size = await self._threads.run(_size_of, path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileMissing(key) from error
        except OSError as error:
            raise _unavailable(error) from error
        return StoredFile(size, self._chunks(path, size))

    async def delete(self, key: str) -> None:
        path = self._path(key)
        if path is None:
            return
        try:
            await self._threads.run(_unlink, path)
        except OSError as error:
            raise _unavailable(error) from error

    async def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        keys = await asyncio.to_thread(self._keys, after)
        for start in range(0, len(keys), _LISTED_AT_ONCE):
            for file in await asyncio.to_thread(self._files, keys[start : start + _LISTED_AT_ONCE]):
                yield file

    def _path(self, key: str) -> Path | None:
        return self._root / key if _KEY.fullmatch(key) else None

    def _write(self, path: Path, content: bytes, given_up: threading.Event) -> None:
        self._make_folder(self._incoming)
        self._make_folder(path.parent)
        draft = self._incoming / secrets.token_hex(16)
        try:
            with create_private_file(draft) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            _sync_folder(path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        if given_up.is_set():
            # Nobody waits for the answer any more, so no row will ever name this file.
            _unlink(path)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, each entry on the disk before anything is put inside."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)

    async def _chunks(self, path: Path, size: int) -> AsyncIterator[bytes]:
        """Opened anew for each chunk, so that a reader who never comes back holds no file open."""
        for offset in range(0, size, _CHUNK_BYTES):
            try:
                chunk = await self._threads.run(_read_part, path, offset)
            except OSError as error:
                raise _unavailable(error) from error
            yield chunk

    def _keys(self, after: str) -> list[str]:
        """In order; folders are among them."""
        paths = (path for path in self._root.rglob("*") if self._incoming not in path.parents)
        return sorted(key for path in paths if (key := path.relative_to(self._root).as_posix()) > after)

    def _files(self, keys: list[str]) -> list[ListedFile]:
        return [listed for key in keys if (listed := self._listed(key)) is not None]

    def _listed(self, key: str) -> ListedFile | None:
        """None for a folder, and for a file that was deleted meanwhile."""
        try:
            status = (self._root / key).stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
        return ListedFile(key, status.st_size, modified_at)

    def _drop_leftovers(self) -> None:
        """Remove what a killed process was writing; younger drafts may belong to a process that lives."""
        # A folder that is not there yet has none, and one that cannot be used says so at the first upload.
        with suppress(OSError):
            for draft in self._incoming.iterdir():
                if draft.stat().st_mtime < time.time() - _LEFTOVER_AGE_SECONDS:
                    draft.unlink(missing_ok=True)


def _size_of(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "not a file")
    return status.st_size


def _read_part(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_CHUNK_BYTES)


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A new or removed name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _s3_from(upload_url: str) -> S3Storage:
    parts = urlsplit(upload_url)
    options = dict(parse_qsl(parts.query))
    if not parts.netloc or options.keys() - _S3_OPTIONS:
        raise SettingError(
            f"UPLOAD_URL must be s3://bucket/prefix, with no options but {', '.join(sorted(_S3_OPTIONS))}"
        )
    try:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=cast("S3Config", options),
            client_options={
                "allow_http": options.get("endpoint", "").startswith("http://"),
                "connect_timeout": "2s",
                "timeout": f"{_DEADLINE_SECONDS:g}s",
            },
            retry_config={"max_retries": 1},
        )
    except (ObstoreError, ValueError) as error:
        raise SettingError("UPLOAD_URL cannot be used as an S3 address") from error
    return S3Storage(store)


class S3Storage:
    """Files in a bucket; credentials come from the URL or the usual AWS variables."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        attributes: dict[str, Any] = {"Content-Type": content_type}
        # In one piece: a multipart upload that breaks off leaves paid-for parts behind.
        upload = obstore.put_async(self._store, key, content, attributes=attributes, use_multipart=False)
        try:
            await _in_time(upload)
        except (ObstoreError, OSError) as error:
            log.warning("storage_write_failed", error=_plain(error))
            raise StorageUnavailable from error

    async def get(self, key: str) -> StoredFile:
        if not _KEY.fullmatch(key):
            raise FileMissing(key)
        first, size = await self._part(key, 0)
        return StoredFile(size, self._chunks(key, first, size))

    async def delete(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            return
        try:
            await _in_time(obstore.delete_async(self._store, key))
        except FileNotFoundError:
            return
        except (ObstoreError, OSError) as error:
            raise _unavailable(error) from error

    async def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        pages = aiter(obstore.list(self._store, offset=after or None, chunk_size=_LISTED_AT_ONCE))
        try:
            while page := await _in_time(anext(pages, None)):
                for file in page:
                    yield ListedFile(file["path"], file["size"], file["last_modified"])
        except (ObstoreError, OSError) as error:
            raise _unavailable(error) from error

    async def _chunks(self, key: str, first: bytes, size: int) -> AsyncIterator[bytes]:
        yield first
        for offset in range(len(first), size, _S3_CHUNK_BYTES):
            yield (await self._part(key, offset))[0]

    async def _part(self, key: str, offset: int) -> tuple[bytes, int]:
        """One piece of the file, and the size of the whole."""
        wanted = (offset, offset + _S3_CHUNK_BYTES)
        try:
            return await _in_time(_fetch(self._store, key, wanted))
        except FileNotFoundError as error:
            raise FileMissing(key) from error
        except (ObstoreError, OSError) as error:
            raise _unavailable(error) from error


async def _fetch(store: S3Store, key: str, wanted: tuple[int, int]) -> tuple[bytes, int]:
    found = await obstore.get_async(store, key, options={"range": wanted})
    return bytes(await found.bytes_async()), found.meta["size"]


async def _in_time(call: Awaitable[T]) -> T:
    """The result within the deadline; retries and slow bodies included. TimeoutError is an OSError."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        return await call


def _unavailable(error: Exception) -> ServiceUnavailable:
    log.warning("storage_unavailable", error=_plain(error))
    return ServiceUnavailable()


def _plain(error: Exception) -> str:
    """What went wrong, without paths, addresses or credentials."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return type(error).__name__
