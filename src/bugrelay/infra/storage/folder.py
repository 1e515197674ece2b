"""Files in a folder, on one machine."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.file_permissions import close_to_others, create_private_file
from bugrelay.infra.storage.port import (
    DEADLINE_SECONDS,
    LISTED_AT_ONCE,
    STORAGE_KEY,
    FileMissing,
    ListedFile,
    StorageUnavailable,
    StoredFile,
    plain_reason,
    unavailable,
)
from bugrelay.infra.threads import BoundedThreads

_CHUNK_BYTES = 64 * 1024  # what a reader holds who does not read
_INCOMING = ".incoming"
_LEFTOVER_AGE_SECONDS = 3600

log = structlog.get_logger()


class LocalStorage:
    """Files of mode 0600 in a folder of mode 0700, on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING
        self._threads = BoundedThreads("storage", workers=4, waiting=500, deadline_seconds=DEADLINE_SECONDS)
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
            log.warning("storage_write_failed", error=plain_reason(error))
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
            raise unavailable(error) from error
        return StoredFile(size, self._chunks(path, size))

    async def delete(self, key: str) -> None:
        path = self._path(key)
        if path is None:
            return
        try:
            await self._threads.run(_unlink, path)
        except OSError as error:
            raise unavailable(error) from error

    async def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        keys = await asyncio.to_thread(self._keys, after)
        for start in range(0, len(keys), LISTED_AT_ONCE):
            for file in await asyncio.to_thread(self._files, keys[start : start + LISTED_AT_ONCE]):
                yield file

    def _path(self, key: str) -> Path | None:
        return self._root / key if STORAGE_KEY.fullmatch(key) else None

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
                raise unavailable(error) from error
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
