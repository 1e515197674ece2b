"""What `make run` promises: everything starts together, is kept running, and ends together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from bugrelay.embedded import EmbeddedServers
from tests.conftest import Servers
from tests.embedded.conftest import comes_true, server_names
from tests.pace import PAUSE_SECONDS, patient

# The programs under supervision, a server and a worker, each with a process of its own like the real server.
# They write their pids, and on SIGTERM their name if the database is still there.
PROGRAM = """
import os, signal, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
import psycopg

name, port, home = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])

def stopped(*_):
    helper.kill()
    try:
        psycopg.connect(os.environ["DATABASE_URL"]).close()
        with (home / "stopped").open("a") as file:
            file.write(name + "\\n")
    finally:
        os._exit(0)

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass

helper = subprocess.Popen(["sleep", "60"])
signal.signal(signal.SIGTERM, stopped)
server = HTTPServer(("127.0.0.1", port), Health)
(home / f"{name}.new").write_text(f"{os.getpid()} {helper.pid}")
(home / f"{name}.new").rename(home / (name + ".pids"))
server.serve_forever()
"""

SUPERVISOR = """
import sys
from pathlib import Path
from bugrelay import supervisor
from bugrelay.settings import load_settings

supervisor.PORT_SECONDS = 1
supervisor.QUICK_ENDS = 3
home, program = Path(sys.argv[1]), sys.argv[2]
settings = load_settings()
def child(name, port):
    argv = [sys.executable, "-c", program, name, str(port), str(home)]
    return supervisor.Child(name=name, argv=sys.argv[3:] if name == "worker" and sys.argv[3:] else argv)
def migrate(settings):
    (home / "migrated").write_text(settings.database_url)
children = [child("server", settings.port), child("worker", 0)]
sys.exit(supervisor.run(settings, children=children, migrate=migrate))
"""


SETTINGS = """
import sys, time
from pathlib import Path
from bugrelay.settings import load_settings

settings = load_settings()
home = settings.bugrelay_home
(home / "seen.new").write_text(f"{settings.database_url} {settings.redis_url}")
(home / "seen.new").rename(home / "seen")
time.sleep(60)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    home: Path,
    *,
    port: int | None = None,
    worker: list[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    defaults = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "HOST", "PUBLIC_URL", "ENVIRONMENT"), "")
    own = {"BUGRELAY_HOME": str(home), "PORT": str(port or free_port())}
    environ = {**os.environ, **defaults, **own, **(env or {})}
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, home, PROGRAM, *(worker or [])],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Everything printed up to the line that holds the text."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    assert process.stderr is not None
    pytest.fail(f"ended without {text!r}: {seen}{process.stderr.read()}")


@contextmanager
def supervised(home: Path, **how: object) -> Iterator[subprocess.Popen[str]]:
    with start(home, **how) as process:  # type: ignore[arg-type]
        try:
            read_until(process, "stop it with Ctrl-C")
            assert comes_true((home / "worker.pids").exists)
            yield process
        finally:
            process.kill()


def pids(home: Path) -> list[int]:
    """The server, its helper, the worker, its helper."""
    return [int(pid) for name in ("server", "worker") for pid in (home / f"{name}.pids").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def nothing_is_left(home: Path) -> bool:
    return server_names(home) == [] and not any(alive(pid) for pid in pids(home))


def message_of(process: subprocess.Popen[str]) -> str:
    """The one line on standard error of a supervisor that exits with 1."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.count("\n") == 1
    return err.strip()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_stops_all_in_order_and_exits_0(home: Path, how: signal.Signals) -> None:
    port = free_port()
    with start(home, port=port) as process:
        seen = read_until(process, "stop it with Ctrl-C")
        assert comes_true((home / "worker.pids").exists)
        assert f"listening on 127.0.0.1:{port}, documentation at http://127.0.0.1:{port}/docs\n" in seen
        assert (home / "migrated").read_text() == EmbeddedServers(home).database_url
        for _ in range(20_000):  # at whatever moment
            process.send_signal(how)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert (home / "stopped").read_text() == "server\nworker\n"
    assert nothing_is_left(home)


def test_sighup_stops_nothing(home: Path) -> None:
    with supervised(home) as process:
        process.send_signal(signal.SIGHUP)  # delivered before SIGTERM, whose number is higher
        process.terminate()
        assert process.wait(60) == 0


def test_sigterm_during_the_start_exits_0_and_leaves_nothing(empty_home: Path) -> None:
    with start(empty_home) as process:
        assert comes_true((empty_home / "log" / "postgres.log").exists)
        process.terminate()
        assert process.wait(60) == 0
    assert comes_true(lambda: server_names(empty_home) == [])


def test_killed_it_leaves_no_process(home: Path) -> None:
    with supervised(home) as process:
        assert {"postgres", "valkey-server"} <= set(server_names(home))
        process.kill()
        process.wait()
        assert comes_true(lambda: nothing_is_left(home))


def test_second_one_on_the_same_home_ends_at_once_with_one_line(home: Path) -> None:
    with supervised(home) as first, start(home) as second:
        assert message_of(second) == f"bugrelay: BugRelay already runs on {home} (process {first.pid})"
        assert first.poll() is None


def test_what_dies_is_started_again(home: Path) -> None:
    with supervised(home) as process:
        servers = EmbeddedServers(home)
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("DROP TABLE IF EXISTS notes")
            connection.execute("CREATE TABLE notes AS SELECT 'kept' AS text")
        before = pids(home)
        postmaster = int((servers.root / "pg" / "postmaster.pid").read_text().split()[0])
        valkey = redis.Redis.from_url(servers.redis_url).info("server")["process_id"]
        for pid in (before[0], postmaster, valkey):
            os.kill(pid, signal.SIGKILL)
        seen = "".join(read_until(process, "is started again") for _ in range(3))
        for name in ("server", "postgres", "redis"):
            assert f"{name} ended with SIGKILL; starting it again" in seen
        assert comes_true(lambda: pids(home)[0] != before[0])
        assert pids(home)[2:] == before[2:]
        assert not alive(before[1])
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT text FROM notes").fetchone() == ("kept",)
        assert redis.Redis.from_url(servers.redis_url).ping()
        process.terminate()
        assert process.wait(60) == 0
    assert nothing_is_left(home)


def test_program_that_keeps_ending_at_once_makes_it_give_up(home: Path) -> None:
    go = home / "go"
    worker = ["sh", "-c", f"touch {home}/worker.pids; while [ ! -e {go} ]; do sleep 0.05; done; exit 3"]
    with supervised(home, worker=worker) as process:
        go.touch()
        message = "bugrelay: worker ended with exit status 3, 3 times in a row; giving up"
        assert message_of(process) == message
    assert nothing_is_left(home)


def test_program_that_ends_before_it_is_ready_ends_the_start(home: Path) -> None:
    with start(home, worker=["sh", "-c", "exit 4"]) as process:
        assert message_of(process) == "bugrelay: worker ended with exit status 4 before it was ready"
    assert server_names(home) == []


def test_port_in_use_ends_the_start_with_one_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with start(home, port=port) as process:
            assert (
                message_of(process)
                == f"bugrelay: PORT: cannot listen on 127.0.0.1:{port}: Address already in use"
            )
    assert server_names(home) == []


def test_external_databases_are_left_to_themselves(home: Path) -> None:
    servers = EmbeddedServers(home)
    servers.acquire()
    try:
        servers.start_postgres()
        servers.start_redis()
        urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        elsewhere = home / "elsewhere"
        with supervised(home, env={**urls, "BUGRELAY_HOME": str(elsewhere)}) as process:
            assert (home / "migrated").read_text() == servers.database_url
            assert not elsewhere.exists()
            process.terminate()
            assert process.wait(60) == 0
        assert redis.Redis.from_url(servers.redis_url).ping()
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("SELECT 1")
    finally:
        servers.close()


def test_start_on_an_existing_home_takes_less_than_five_seconds(home: Path) -> None:
    began = time.monotonic()
    with supervised(home):
        assert time.monotonic() - began < patient(5) + PAUSE_SECONDS


def test_children_get_the_values_of_setting_files(empty_home: Path, servers: Servers) -> None:
    """As URLs: with the names of the files beside them each setting would be there twice."""
    urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    for name, url in urls.items():
        (empty_home / name).write_text(f"{url}\n")
    files = {f"{name}_FILE": str(empty_home / name) for name in urls}
    with start(empty_home, env=files, worker=[sys.executable, "-c", SETTINGS]) as process:
        try:
            assert comes_true((empty_home / "seen").exists)
            assert (empty_home / "seen").read_text().split() == list(urls.values())
        finally:
            process.terminate()
