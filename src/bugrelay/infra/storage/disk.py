"""Blocking operations on the files of a folder, for threads. Symbolic links are ignored, so nothing outside is read."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from bugrelay.infra.file_permissions import create_private_file
from bugrelay.infra.storage.port import FileMissing, ListedFile

CHUNK_BYTES = 64 * 1024  # memory for each slow reader
_DRAFTS = ".incoming"
_DRAFT_SECONDS = 3600  # longer than any request
_COPIED_AT_ONCE_BYTES = 1024 * 1024


class Disk:
    """Files under one root. A file is written as a draft, and renamed once it is completely on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._drafts = root / _DRAFTS

    def new_draft(self) -> Path:
        """A path for a new draft."""
        return self._drafts / secrets.token_hex(16)

    def begin(self, draft: Path) -> None:
        _make_folder(self._drafts)
        create_private_file(draft).close()

    def append(self, draft: Path, content: bytes) -> None:
        """Append to an existing draft; opened for each chunk, so that a stalled sender keeps no file open."""
        with draft.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(content)

    def finish(self, draft: Path, path: Path, given_up: threading.Event) -> None:
        """Sync the draft to the disk, and rename it to its final path."""
        _make_folder(path.parent)
        try:
            with draft.open("r+b") as file:
                os.fsync(file.fileno())
            draft.rename(path)
            _sync_folder(path.parent)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        if given_up.is_set():
            # The caller gave up, so no row will ever reference this file.
            self.unlink(path)

    def write(self, path: Path, content: bytes, given_up: threading.Event) -> None:
        draft = self.new_draft()
        try:
            self.begin(draft)
            self.append(draft, content)
            self.finish(draft, path, given_up)
        finally:
            draft.unlink(missing_ok=True)

    def copy(self, source: Path, path: Path, given_up: threading.Event) -> None:
        """Copy a file.

        Raises:
            FileMissing: There is no source.
        """
        draft = self.new_draft()
        try:
            file = _open_file(source)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileMissing(source.name) from error
        try:
            with file:
                self.begin(draft)
                with draft.open("r+b") as copied:
                    shutil.copyfileobj(file, copied, _COPIED_AT_ONCE_BYTES)
            self.finish(draft, path, given_up)
        finally:
            draft.unlink(missing_ok=True)

    def size_of(self, path: Path) -> int:
        """The size of a file in bytes.

        Raises:
            FileNotFoundError, NotADirectoryError, IsADirectoryError: It is no file.
        """
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "not a file")
        return status.st_size

    def read_part(self, path: Path, offset: int) -> bytes:
        with _open_file(path) as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)

    def unlink(self, path: Path) -> None:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        _sync_folder(path.parent)

    def keys(self, after: str) -> list[str]:
        """The keys after this one, in order; they include folders."""
        paths = (path for path in self._root.rglob("*") if self._drafts not in path.parents)
        return sorted(key for path in paths if (key := path.relative_to(self._root).as_posix()) > after)

    def files(self, keys: list[str]) -> list[ListedFile]:
        return [listed for key in keys if (listed := self._listed(key)) is not None]

    def _listed(self, key: str) -> ListedFile | None:
        """The file with this key; None for a folder or a link, and for a file that was deleted meanwhile."""
        try:
            status = (self._root / key).lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
        return ListedFile(key, status.st_size, modified_at)

    def drop_drafts(self) -> None:
        """Delete drafts of killed processes; newer drafts may belong to a running process."""
        # A missing folder has no drafts, and one without permissions fails at the first upload.
        with suppress(OSError):
            for draft in self._drafts.iterdir():
                if draft.lstat().st_mtime < time.time() - _DRAFT_SECONDS:
                    draft.unlink(missing_ok=True)


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        FileNotFoundError, NotADirectoryError, IsADirectoryError: It is no file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # opening a pipe must not block
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, "a link is no file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, "not a file")
    return os.fdopen(handle, "rb")


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents, each synced to the disk before anything is put inside."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder to the disk: only then a new or removed name in it is durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
