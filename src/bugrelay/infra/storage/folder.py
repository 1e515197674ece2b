"""Storage in a folder of one machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.file_permissions import close_to_others
from bugrelay.infra.storage.disk import CHUNK_BYTES, Disk
from bugrelay.infra.storage.port import (
    DEADLINE_SECONDS,
    LISTED_AT_ONCE,
    STORAGE_KEY,
    FileMissing,
    ListedFile,
    StorageUnavailable,
    StoredFile,
    WrongSize,
    plain_reason,
    unavailable,
)
from bugrelay.infra.threads import BoundedThreads

_PIECE_BYTES = 256 * 1024  # in memory of a file that is received in chunks

log = structlog.get_logger()


class LocalStorage:
    """Files with mode 0600 in a folder with mode 0700."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._disk = Disk(root)
        self._threads = BoundedThreads("storage", workers=4, waiting=500, deadline_seconds=DEADLINE_SECONDS)
        close_to_others(root)
        self._disk.drop_drafts()

    async def put(self, key: str, content: bytes, *, content_type: str) -> None:  # noqa: ARG002 - a folder has no types
        path = self._path_to_write(key)
        with _unavailable_on_failure() as given_up:
            await self._threads.run(self._disk.write, path, content, given_up)

    async def put_chunks(self, key: str, chunks: AsyncIterator[bytes], *, size_bytes: int) -> None:
        path, draft = self._path_to_write(key), self._disk.new_draft()
        try:
            with _unavailable_on_failure():
                await self._threads.run(self._disk.begin, draft)
            async for piece in _pieces(chunks, size_bytes):
                with _unavailable_on_failure():
                    await self._threads.run(self._disk.append, draft, piece)
            with _unavailable_on_failure() as given_up:
                await self._threads.run(self._disk.finish, draft, path, given_up)
        finally:
            # After success there is no draft any more. One that cannot be deleted here, drop_drafts will delete.
            with suppress(OSError, ServiceUnavailable):
                await self._threads.run(draft.unlink, missing_ok=True)

    async def copy(self, key: str, to: str) -> None:
        source, path = self._path(key), self._path_to_write(to)
        if source is None:
            raise FileMissing(key)
        with _unavailable_on_failure() as given_up:
            await self._threads.run(self._disk.copy, source, path, given_up)

    async def get(self, key: str) -> StoredFile:
        size = await self.size_of(key)
        return StoredFile(size, self._chunks(self._root / key, size))

    async def size_of(self, key: str) -> int:
        path = self._path(key)
        if path is None:
            raise FileMissing(key)
        try:
            return await self._threads.run(self._disk.size_of, path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileMissing(key) from error
        except OSError as error:
            raise unavailable(error) from error

    async def delete(self, key: str) -> None:
        path = self._path(key)
        if path is None:
            return
        try:
            await self._threads.run(self._disk.unlink, path)
        except OSError as error:
            raise unavailable(error) from error

    async def listing(self, *, after: str = "") -> AsyncIterator[ListedFile]:
        keys = await asyncio.to_thread(self._disk.keys, after)
        for start in range(0, len(keys), LISTED_AT_ONCE):
            for file in await asyncio.to_thread(self._disk.files, keys[start : start + LISTED_AT_ONCE]):
                yield file

    async def presigned_put(self, key: str, *, expires_in: timedelta) -> None:
        """A folder has no URL."""

    async def drop_drafts(self) -> None:
        await asyncio.to_thread(self._disk.drop_drafts)

    def _path(self, key: str) -> Path | None:
        return self._root / key if STORAGE_KEY.fullmatch(key) else None

    def _path_to_write(self, key: str) -> Path:
        path = self._path(key)
        if path is None:
            raise ValueError(f"not a storage key: {key!r}")
        return path

    async def _chunks(self, path: Path, size: int) -> AsyncIterator[bytes]:
        """The chunks of a file, which is opened for each, so that a stalled reader keeps no file open."""
        for offset in range(0, size, CHUNK_BYTES):
            try:
                chunk = await self._threads.run(self._disk.read_part, path, offset)
            except OSError as error:
                raise unavailable(error) from error
            yield chunk


@contextmanager
def _unavailable_on_failure() -> Iterator[threading.Event]:
    """Raise StorageUnavailable if the disk fails; the event tells the thread that the caller gave up."""
    given_up = threading.Event()
    try:
        yield given_up
    except (OSError, ServiceUnavailable) as error:
        given_up.set()
        log.warning("storage_write_failed", error=plain_reason(error))
        raise StorageUnavailable from error
    except asyncio.CancelledError:
        given_up.set()
        raise


async def _pieces(chunks: AsyncIterator[bytes], size_bytes: int) -> AsyncIterator[bytes]:
    """The bytes of the chunks in larger pieces.

    Raises:
        WrongSize: There are more bytes than announced, in which case the rest is not read, or fewer.
    """
    piece, left = bytearray(), size_bytes
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise WrongSize
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if left:
        raise WrongSize
    yield bytes(piece)
