"""Mails as files, for development, tests and operators without a mail server."""

from __future__ import annotations

import asyncio
import os
import time
from email.message import EmailMessage
from pathlib import Path

from bugrelay.infra.file_permissions import close_to_others, create_private_file
from bugrelay.infra.mail.transport import MailUndelivered

STALE_SECONDS = 5  # an older draft was left by a process that was killed


class SpoolTransport:
    """A private folder with one `.eml` file for each mail, named by its id, so that a repeated mail is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        close_to_others(folder, files=True)  # links in mails are credentials

    async def deliver(self, message: EmailMessage, *, name: str) -> None:
        await asyncio.to_thread(self._write, message.as_bytes(), name)

    def _write(self, content: bytes, name: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write_whole(content, name)
        except OSError as error:
            raise MailUndelivered(f"the spool cannot be written: {error.strerror}") from error

    def _write_whole(self, content: bytes, name: str) -> None:
        """Write to a draft and rename it, so that no incomplete mail is ever visible."""
        draft = self._folder / f".{name}"
        _remove_stale(draft)
        try:
            file = create_private_file(draft)
        except FileExistsError as error:
            raise MailUndelivered("another worker is writing the same mail") from error
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / f"{name}.eml")
        _sync(self._folder)


def _remove_stale(draft: Path) -> None:
    try:
        if time.time() - draft.stat().st_mtime > STALE_SECONDS:
            draft.unlink()
    except FileNotFoundError:
        return


def _sync(folder: Path) -> None:
    """Sync the folder, so that the rename survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
