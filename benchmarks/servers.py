"""Servers to measure, each with one worker process on its own port, and their CPU seconds from /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bugrelay.embedded.processes import spawn, stop

START_SECONDS = 60
STOP_SECONDS = 15
TICKS = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """A server that did not start; the text is one line."""


@dataclass(frozen=True)
class Server:
    """A server on `port`; `pid` is its first process, whose children serve."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def get(self, path: str) -> bytes:
        """The body of a GET, which must succeed."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:  # noqa: PLR2004 - OK
                raise ServerError(f"{self.name} answered {response.status} to {path}")
            return body


@contextmanager
def working(environment: Mapping[str, str], *, log: Path) -> Iterator[None]:
    """A worker process, until the end of the block."""
    command = [sys.executable, "-m", "bugrelay", "worker"]
    with log.open("wb") as file:
        process = spawn(command, death_signal=signal.SIGKILL, env={**os.environ, **environment}, log=file)
    try:
        yield
    finally:
        stop(process, signal.SIGKILL, seconds=1)


@contextmanager
def serving(name: str, environment: Mapping[str, str], *, log: Path) -> Iterator[Server]:
    """`python -m benchmarks.serve NAME`, from its first response until the end of the block.

    Args:
        name: One of `benchmarks.serve.SERVERS`.
        environment: Variables in addition to those of this process.
        log: The file for its standard output and error, overwritten.

    Raises:
        ServerError
    """
    with started(name, ["benchmarks.serve", name], environment, log=log) as server:
        yield server


@contextmanager
def started(
    name: str, module: Sequence[str], environment: Mapping[str, str], *, log: Path
) -> Iterator[Server]:
    """`python -m MODULE` with its arguments, listening on PORT, as `serving` does.

    Raises:
        ServerError
    """
    port = free_port()
    env = {**os.environ, **environment, "PORT": str(port)}
    with log.open("wb") as output:
        argv = [sys.executable, "-m", *module]
        process = spawn(argv, death_signal=signal.SIGTERM, env=env, log=output)
    try:
        _wait_for(name, process, port, log)
        yield Server(name, port, process.pid)
    finally:
        stop(process, signal.SIGTERM, seconds=STOP_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise ServerError(f"{name} did not start: {last[:200]} (see {log})")
        time.sleep(0.1)


def answers(port: int) -> bool:
    with (
        suppress(OSError, HTTPException),
        closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
    ):
        connection.request("GET", "/health")
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    return False


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its descendants, including those that have ended."""
    parents: dict[int, list[int]] = {}
    times: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # It ended while we looked.
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
                times[int(entry.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        total += times.get(process, 0)
        waiting += parents.get(process, [])
    return total / TICKS


def parent_of(pid: int) -> int:
    """The parent process: for a backend of PostgreSQL, the server."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def children_of(pid: int) -> list[int]:
    """The child processes that are still running."""
    return [
        int(pid)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
