"""Files and folders that nobody but the user of this process may read, whatever its umask."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_OTHERS = 0o077


def create_private_file(path: Path) -> BinaryIO:
    """A new file to write to, mode 0600.

    Raises:
        FileExistsError
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def close_to_others(folder: Path, *, files: bool = False) -> None:
    """Take the rights of group and others from a folder that is there already.

    Args:
        folder: Nothing happens when it is absent, closed already, or another user's; one that cannot be used says so
            to whoever writes to it.
        files: Of what lies in it as well. A closed folder is enough for a running board; files may be copied elsewhere.
    """
    with suppress(OSError):
        if not folder.stat().st_mode & _OTHERS:
            return
        for path in folder.iterdir() if files else ():
            _close(path)
        _close(folder)


def _close(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
