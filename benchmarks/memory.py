"""`python -m benchmarks.memory`: memory of the processes of a new installation after their start and the demo.

The bars use resident memory (VmRSS), which counts shared libraries in every process that has loaded them. The
proportional share (Pss) divides those by the number of processes. A megabyte is 1,024 of the kernel's kB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psycopg

from benchmarks.bars import Measured, table
from benchmarks.home import ENVIRONMENT
from benchmarks.servers import Server, children_of, started
from bugrelay.embedded import running
from bugrelay.infra.db.database import libpq_url
from bugrelay.settings import Settings, load_settings

KB_A_MB = 1024
IDLE_SECONDS = 60  # for what the worker does after the demo
_BUSY = """
SELECT EXISTS (SELECT FROM similar_pending) OR EXISTS (
    SELECT FROM procrastinate_jobs WHERE status = 'doing' OR status = 'todo' AND coalesce(scheduled_at, now()) <= now())
"""


@dataclass(frozen=True)
class Process:
    """One of BugRelay's processes."""

    name: str
    resident_mb: float
    proportional_mb: float


def measure() -> tuple[dict[str, Measured], dict[str, list[float]]]:
    """The bars, and resident and proportional megabytes of every process."""
    with tempfile.TemporaryDirectory(prefix="bugrelay-memory-") as home:
        environment = {**ENVIRONMENT, "BUGRELAY_HOME": home}
        with running(load_settings(environment)) as settings:
            processes = {process.name: process for process in _after_demo(settings, environment)}
    bars = {
        name: Measured(
            processes[name].resident_mb, note=f"{processes[name].proportional_mb:.0f} MB proportional"
        )
        for name in ("server", "worker")
    }
    every = {name: [process.resident_mb, process.proportional_mb] for name, process in processes.items()}
    return {f"{name}_memory": bar for name, bar in bars.items()}, every


def _after_demo(settings: Settings, environment: dict[str, str]) -> list[Process]:
    """BugRelay as `make run` starts it, after the demo and a request for similar bugs."""
    urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    home = Path(environment["BUGRELAY_HOME"])
    with started("bugrelay", ["bugrelay", "run"], environment | urls, log=home / "run.log") as server:
        argv = [sys.executable, "-m", "bugrelay", "demo"]
        with (home / "demo.log").open("wb") as output:
            subprocess.run(argv, env={**os.environ, **environment, **urls}, stdout=output, check=True)  # noqa: S603
        _wait_until_idle(settings)
        _ask_for_similar(server)
        return list(_processes(server.pid))


def _wait_until_idle(settings: Settings) -> None:
    deadline = time.monotonic() + IDLE_SECONDS
    with psycopg.connect(libpq_url(settings.database_url), autocommit=True) as connection:
        while connection.execute(_BUSY).fetchone() != (False,) and time.monotonic() < deadline:
            time.sleep(0.5)


def _ask_for_similar(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(
        "POST",
        "/api/v1/bugs/similar",
        json.dumps(
            {"title": "Dark mode: links cannot be read", "description": "In tables, after the update."}
        ),
        {"Content-Type": "application/json"},
    )
    connection.getresponse().read()
    connection.close()


def _processes(supervisor: int) -> Iterator[Process]:
    """The supervisor, the worker, and of the server the parent process and the processes that serve."""
    yield _process("supervisor", supervisor)
    for pid in children_of(supervisor):
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "worker" in arguments:
            yield _process("worker", pid)
        elif "serve" in arguments:
            yield _process("server, first process", pid)
            yield from (_process("server", serving) for serving in children_of(pid))


def _process(name: str, pid: int) -> Process:
    resident = _kilobytes(Path(f"/proc/{pid}/status"), "VmRSS")
    return Process(name, resident / KB_A_MB, _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") / KB_A_MB)


def _kilobytes(path: Path, field: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def main() -> None:
    """Measure and print."""
    bars, processes = measure()
    for name, (resident_mb, proportional_mb) in processes.items():
        print(f"{name:<22} {resident_mb:6.1f} MB resident {proportional_mb:6.1f} MB proportional")
    print(f"\n{table(bars, 0)}")


if __name__ == "__main__":
    main()
