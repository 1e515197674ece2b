"""Real processes that a test may stop, freeze, kill and start again: PostgreSQL, and BugRelay itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import httpx

from bugrelay.embedded import EmbeddedServers
from bugrelay.embedded.processes import spawn, stop
from bugrelay.migrate import migrate
from bugrelay.settings import load_settings
from tests.conftest import TEST_ENVIRONMENT


class Postgres:
    """A throw-away cluster with a migrated database."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="faults-"))
        self._servers = EmbeddedServers(self._home, throw_away=True)
        self._servers.acquire()
        self.start()
        self.url = self._servers.database_url
        self.socket = self._servers.sockets / ".s.PGSQL.5432"
        migrate(load_settings({"DATABASE_URL": self.url}))

    def start(self) -> None:
        self._servers.start_postgres()

    def stop(self) -> None:
        """The way an operator restarts it: connections are broken, what was committed is kept."""
        assert self._servers.postgres is not None
        stop(self._servers.postgres, signal.SIGINT, seconds=20)

    def freeze(self) -> None:
        """No process of it runs: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def backends(self) -> int:
        """How many processes it has."""
        return len(self._processes())

    def remove(self) -> None:
        self.thaw()
        self._servers.close()
        self._servers.remove()
        shutil.rmtree(self._home)

    def url_through(self, port: int) -> str:
        """The same database behind a proxy on loopback."""
        return f"postgresql://bugrelay@127.0.0.1:{port}/bugrelay"

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # It ended while we looked.
                continue

    def _processes(self) -> list[int]:
        """The postmaster first, so that it starts nothing behind our back."""
        assert self._servers.postgres is not None
        pid = self._servers.postgres.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split())]


class Board:
    """`python -m bugrelay serve` as a process of its own, on a free port."""

    def __init__(self, *, database_url: str, redis_url: str, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            **TEST_ENVIRONMENT,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "BUGRELAY_HOME": str(home),
            "PORT": str(self.port),
            **environment,
        }
        self._log_path = home / "server.log"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.launch()
        until = time.monotonic() + 120
        while not self._lives():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def launch(self, *options: str) -> None:
        """Start the process without waiting for it to answer."""
        with self._log_path.open("ab") as log:
            self.process = spawn(
                [sys.executable, "-m", "bugrelay", "serve", *options],
                death_signal=signal.SIGKILL,
                env=self.environment,
                log=log,
            )

    def twin(self) -> Board:
        """Another server for the same port, not started."""
        twin = copy(self)
        twin._log_path = self._log_path.with_name("twin.log")
        return twin

    def listeners(self) -> int:
        """How many sockets listen on the port."""
        listening = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return Path("/proc/net/tcp").read_text().count(listening)

    def _lives(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def complaints(self) -> list[str]:
        return complaints_in(self.log())

    def workers(self) -> list[int]:
        """The processes that answer requests."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """kill -9 of the server and of its workers, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """The way an operator stops it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0

    def remove(self) -> None:
        stop(self.process, signal.SIGKILL, seconds=1)

    def visitor(self, **options: Any) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.url, timeout=30, limits=limits, trust_env=False, **options)

    async def exchange(self, request: bytes, *, seconds: float = 10) -> bytes:
        """Send these bytes on a connection of their own and give all that comes back until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()


def complaints_in(log: str) -> list[str]:
    """What must never be in a log, whatever happens: tracebacks, errors that nobody foresaw or looked at."""
    marks = (
        "unforeseen_error",
        "Traceback",
        "never retrieved",
        "never awaited",
        "garbage collector",
        "panicked",
    )
    return [line for line in log.splitlines() if any(mark in line for mark in marks)]


@contextmanager
def worker(environment: Mapping[str, str], log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m bugrelay worker` as a process of its own; killed, if it still lives, at the end of the block."""
    with log_path.open("ab") as log:
        process = spawn(
            [sys.executable, "-m", "bugrelay", "worker"],
            death_signal=signal.SIGKILL,
            env=dict(environment),
            log=log,
        )
    try:
        yield process
    finally:
        stop(process, signal.SIGKILL, seconds=1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
