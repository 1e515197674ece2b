"""Files and folders that only the user of this process may read, whatever its umask."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_OTHERS = 0o077


def create_private_file(path: Path) -> BinaryIO:
    """Create a file for writing, with mode 0600.

    Raises:
        FileExistsError
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def close_to_others(folder: Path, *, files: bool = False) -> None:
    """Remove the permissions of group and others from an existing folder.

    Args:
        folder: Nothing happens if it does not exist, is closed already, or belongs to another user; a folder that
            cannot be used fails when it is written to.
        files: Also of the files in it. A closed folder is enough for a running board; files may be copied elsewhere.
    """
    with suppress(OSError):
        if not folder.stat().st_mode & _OTHERS:
            return
        for path in folder.iterdir() if files else ():
            _close(path)
        _close(folder)


def _close(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
