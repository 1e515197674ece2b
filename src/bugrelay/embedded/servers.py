"""PostgreSQL and Valkey of one home: created, started, checked, stopped.

Both are child processes on Unix sockets; the process that starts them owns the home by a file lock. The next start
cleans up after a killed owner, so neither a crash nor kill -9 needs manual work.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from bugrelay.embedded.errors import EmbeddedError, HomeInUseError
from bugrelay.embedded.paths import (
    data_root,
    digest,
    give_to_owner,
    make_home,
    make_private,
    postgres_programs,
    socket_directory,
    valkey_server,
)
from bugrelay.embedded.processes import end_leftovers, spawn, stop

START_SECONDS = 60  # Crash recovery of a large cluster takes longer than any ordinary start.
STOP_SECONDS = 30
PSQL_SECONDS = 10
LOG_BYTES = 10_000_000

# PostgreSQL's programs obey PG* variables (PGPORT, PGOPTIONS, …), so they do not inherit the caller's environment.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGCONNECT_TIMEOUT": "3"}

# The built-in locale is the same on every machine; the host's may be missing, and changes with its C library.
INITDB_OPTIONS = (
    "--username=bugrelay",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# DETAIL repeats values of rows, such as the address that is taken already. Of sessions only: why a server does not
# start is in the DETAIL, too. A standby has it from its primary.
TERSE_LOG = (
    "DO $$ BEGIN IF NOT pg_is_in_recovery() THEN"
    " ALTER ROLE bugrelay SET log_error_verbosity = 'terse'; END IF; END $$"
)
THROW_AWAY_POSTGRES_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}

# Valkey holds limit windows and cached answers, nothing that must not be lost. When memory is short,
# `volatile-ttl` drops what expires soonest: cached answers, which live for seconds, before limit windows.
# Keys without a lifetime stay, unlike under an LRU over all keys: a counter that vanished would start over,
# through numbers that were in use.
VALKEY_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "yes",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-ttl",
}
THROW_AWAY_VALKEY_OPTIONS = {"appendonly": "no"}


class EmbeddedServers:
    """The two servers of one home: `acquire` it, start what is needed, `close` it.

    `postgres` and `redis` are the running processes, or None if they were not started here.
    """

    def __init__(self, home: Path, *, throw_away: bool = False) -> None:
        self.home = home.resolve()
        make_home(self.home)
        self.root, self._account = data_root(self.home)
        self.sockets = socket_directory(self.root, self._account)
        self.postgres: subprocess.Popen[bytes] | None = None
        self.redis: subprocess.Popen[bytes] | None = None
        self._throw_away = throw_away
        self._token = f"bugrelay-{digest(self.root)}"  # In the servers' command lines: says whose they are.
        self._lock: IO[str] | None = None
        self._guests: IO[str] | None = None

    @property
    def database_url(self) -> str:
        return f"postgresql://bugrelay@/bugrelay?host={self.sockets}"

    @property
    def admin_url(self) -> str:
        """The maintenance database, as superuser."""
        return f"postgresql://bugrelay@/postgres?host={self.sockets}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.sockets}/redis.sock?db=0"

    def acquire(self) -> None:
        """Become the only owner of this home.

        Raises:
            HomeInUseError: Another process is.
        """
        file = self._open_lock("lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read().strip()
            file.close()
            raise HomeInUseError(f"BugRelay already runs on {self.home} (process {owner})") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file

    def try_to_join(self, *, postgres: bool, redis: bool) -> bool:
        """Use the servers that another owner started, if the required ones accept connections.

        An owner that other processes may join waits for them before it stops; see `wait_for_guests`.
        """
        file = self._open_lock("guests")
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        if (postgres and not self._accepts("bugrelay")) or (redis and not self._redis_answers()):
            file.close()
            return False
        self._guests = file
        return True

    def wait_for_guests(self) -> None:
        """Wait until all processes that joined have finished; after that no process can join."""
        self._guests = self._open_lock("guests")
        fcntl.flock(self._guests, fcntl.LOCK_EX)

    def start_postgres(self) -> subprocess.Popen[bytes]:
        """Start PostgreSQL, created at first use, and wait until its database `bugrelay` accepts connections.

        Raises:
            EmbeddedError: It did not come up; the line quotes the end of its log.
        """
        self._make_directories()
        end_leftovers("postgres", self._token, seconds=STOP_SECONDS)
        data = self.root / "pg"
        if not data.exists():
            self._make_cluster(data)
        # A killed postmaster may stay a zombie, or its pid be another's: PostgreSQL would take it for alive.
        (data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.sockets / name).unlink(missing_ok=True)
        self.postgres = self._spawn("postgres", self._postgres_command(data), signal.SIGINT)
        self._wait_until(lambda: self._accepts("postgres"), process=self.postgres, name="postgres")
        if not self._accepts("bugrelay") and not self._psql("postgres", "CREATE DATABASE bugrelay"):
            raise self._failure("postgres")
        if not self._psql("postgres", TERSE_LOG):
            raise self._failure("postgres")
        return self.postgres

    def start_redis(self) -> subprocess.Popen[bytes]:
        """Start Valkey, and wait until it responds with its data loaded.

        Raises:
            EmbeddedError: It did not come up; the line quotes the end of its log.
        """
        self._make_directories()
        end_leftovers("valkey-server", self._token, seconds=STOP_SECONDS)
        self.redis = self._spawn("redis", self._redis_command(), signal.SIGTERM)
        self._wait_until(self._redis_answers, process=self.redis, name="redis")
        return self.redis

    def close(self) -> None:
        """Stop the servers that were started here, PostgreSQL first, and release the home."""
        if self.postgres is not None:
            stop(self.postgres, signal.SIGINT, seconds=STOP_SECONDS)  # "Fast": does not wait for clients.
        if self.redis is not None:
            stop(self.redis, signal.SIGTERM, seconds=STOP_SECONDS)
        for file in (self._guests, self._lock):
            if file is not None:
                file.close()
        self.postgres = self.redis = self._guests = self._lock = None

    def remove(self) -> None:
        """Delete the data and logs of the two servers; they must be closed."""
        for directory in (self.root / "pg", self.root / "redis", self.sockets, self.home / "log"):
            shutil.rmtree(directory, ignore_errors=True)
        if self.root != self.home:
            shutil.rmtree(self.root, ignore_errors=True)

    def _open_lock(self, name: str) -> IO[str]:
        path = self.home / name
        file = path.open("a+")
        file.seek(0)
        give_to_owner(path, self.home)
        return file

    def _make_directories(self) -> None:
        logs = self.home / "log"
        logs.mkdir(exist_ok=True)
        logs.chmod(0o700)
        give_to_owner(logs, self.home)
        for path in logs.iterdir():  # an earlier release left them readable for everybody
            path.chmod(0o600)
        if self.root != self.home:
            self.root.mkdir(parents=True, exist_ok=True)
            for directory in (self.root, self.root.parent):
                directory.chmod(0o755)
        for directory in (self.root / "redis", self.sockets):
            make_private(directory, self._account)

    def _make_cluster(self, data: Path) -> None:
        """Create the cluster under a temporary name and rename it when complete, so a kill leaves no incomplete one."""
        fresh = data.with_name("pg.new")
        shutil.rmtree(fresh, ignore_errors=True)
        make_private(fresh, self._account)
        sync = ["--no-sync"] if self._throw_away else []
        argv: list[str | Path] = [self._program("initdb"), "-D", fresh, *INITDB_OPTIONS, *sync]
        initdb = self._spawn("postgres", argv, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            initdb.wait(START_SECONDS)
        if initdb.returncode != 0:
            stop(initdb, signal.SIGTERM, seconds=1)
            raise self._failure("postgres")
        fresh.rename(data)

    def _postgres_command(self, data: Path) -> list[str | Path]:
        options = {
            **POSTGRES_OPTIONS,
            **(THROW_AWAY_POSTGRES_OPTIONS if self._throw_away else {}),
            "unix_socket_directories": str(self.sockets),
            "cluster_name": self._token,
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        return [self._program("postgres"), "-D", data, *flags]

    def _redis_command(self) -> list[str | Path]:
        options = {
            **VALKEY_OPTIONS,
            **(THROW_AWAY_VALKEY_OPTIONS if self._throw_away else {}),
            "dir": str(self.root / "redis"),
            "unixsocket": f"{self.sockets}/redis.sock",
            "proc-title-template": f"{{title}} {self._token}",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [valkey_server(self._account), *flags]

    def _spawn(
        self, name: str, argv: Sequence[str | Path], death_signal: signal.Signals
    ) -> subprocess.Popen[bytes]:
        path = self._log(name)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.old"))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            give_to_owner(path, self.home)
            return spawn(
                argv, death_signal=death_signal, env=ENVIRONMENT, account=self._account, log=log, cwd="/"
            )

    def _wait_until(self, ready: Callable[[], bool], *, process: subprocess.Popen[bytes], name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                stop(process, signal.SIGTERM, seconds=1)
                raise self._failure(name)
            time.sleep(0.02)

    def _failure(self, name: str) -> EmbeddedError:
        log = self._log(name)
        lines = [line.strip() for line in log.read_text(errors="replace").split("\n") if line.strip()]
        return EmbeddedError(f"{name} did not start: {lines[-1] if lines else 'no reason given'} (see {log})")

    def _log(self, name: str) -> Path:
        return self.home / "log" / f"{name}.log"

    def _program(self, name: str) -> Path:
        return postgres_programs(self._account) / name

    def _accepts(self, database: str) -> bool:
        return self._psql(database, "SELECT 1")

    def _psql(self, database: str, sql: str) -> bool:
        """Run a statement; returns whether it succeeded."""
        where = [f"--host={self.sockets}", "--username=bugrelay", f"--dbname={database}"]
        argv: list[str | Path] = [self._program("psql"), "--no-psqlrc", *where, f"--command={sql}"]
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(  # noqa: S603 - our own program
                argv, env=ENVIRONMENT, capture_output=True, timeout=PSQL_SECONDS, check=False
            )
            return done.returncode == 0
        return False

    def _redis_answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(1)
            connection.connect(f"{self.sockets}/redis.sock")
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False
