"""Child processes that end with their parent, and cleaning up after a killed parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True)


class Account(NamedTuple):
    """A system user to run as."""

    uid: int
    gid: int


def spawn(
    argv: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    env: Mapping[str, str],
    account: Account | None = None,
    log: IO[bytes] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when this process ends, even by kill -9.

    The child has its own session: Ctrl-C reaches its parent alone, which stops its children in order.
    Call it from the main thread: the kernel sends the signal when the *thread* that forked is gone.
    """
    parent = os.getpid()

    def bind_to_parent() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(  # noqa: S603 - our own programs
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=env,
        cwd=cwd,
        start_new_session=True,
        umask=0o077,  # nobody else may read what they write
        preexec_fn=bind_to_parent,  # noqa: PLW1509 - a change of user would reset what is set before it
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def stop(process: subprocess.Popen[bytes], sig: signal.Signals, *, seconds: float) -> None:
    """Send `sig` to a child of `spawn`; after `seconds`, kill it and all processes that it started."""
    if process.poll() is None:
        process.send_signal(sig)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_leftovers(program: str, token: str, *, seconds: float) -> None:
    """Stop processes that a killed owner left running, and wait until they are gone; after `seconds`, kill them.

    SIGINT stops a PostgreSQL or Valkey server, and cancels the statement of an orphaned PostgreSQL backend.
    """
    deadline = time.monotonic() + seconds
    while leftovers := _processes(program, token):
        for pid in leftovers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.1)


def _processes(program: str, token: str) -> list[int]:
    """Pids of processes of this program, except zombies, with the token in their command line or title."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # It ended meanwhile.
            if (entry / "comm").read_text().strip() != program:
                continue
            if token.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
