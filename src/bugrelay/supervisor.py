"""What `make run` runs: embedded databases, migrations, then the server and the worker, restarted if they exit.

All of them end with the supervisor: in order on Ctrl-C and SIGTERM, and by each child's death signal if the supervisor
is killed. It imports only the standard library, so that it starts quickly.
"""

from __future__ import annotations

import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from bugrelay.embedded import EmbeddedError, EmbeddedServers, filled_in, require_programs
from bugrelay.embedded.processes import spawn, stop
from bugrelay.settings import SettingError, Settings

HEALTH_SECONDS = 60
PORT_SECONDS = 15  # A server whose supervisor was killed still finishes its requests.
STOP_SECONDS = 20  # After DRAIN_SECONDS; the server accepts for 5 s at most, and gives its processes 10 s.
QUICK_SECONDS = 5  # An exit sooner after the start counts as a failed start.
QUICK_ENDS = 5  # Failed starts in a row, before giving up.
POLL_SECONDS = 0.1
SERVER_ERROR = 500
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SupervisorError(Exception):
    """BugRelay cannot continue; the text is one line for the person at the terminal."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A program to keep running. `env` overrides our own environment and the URLs of the databases."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def run(settings: Settings, *, children: Sequence[Child], migrate: Callable[[Settings], None]) -> int:
    """Run BugRelay until a signal stops it.

    Args:
        settings: The settings; an empty URL means an embedded database.
        children: The programs in the order in which they are started and stopped; one of them serves HOST:PORT/health.
        migrate: Migrates the database; called once, with both URLs filled in.

    Returns:
        The exit status: 0 after a signal, 1 if it could not start or continue.
    """
    stop_request = StopRequest()
    for each in STOP_SIGNALS:
        signal.signal(each, stop_request.receive)
    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # inherited by the children; the programs would ignore it, too
    with ExitStack() as stack:
        try:
            _keep_running(settings, children, migrate, stop_request=stop_request, stack=stack)
        except KeyboardInterrupt:
            _say("stopping")
            return 0
        except (SupervisorError, EmbeddedError, SettingError, OSError) as error:
            print(f"bugrelay: {error}", file=sys.stderr, flush=True)
            return 1
        finally:
            # Further signals change nothing any more. Python removes its handlers at its end, and a signal after that
            # would change the exit status.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


class StopRequest:
    """The request to stop, by SIGINT or SIGTERM.

    An exception in a signal handler can be raised anywhere, also while stopping. So a signal is only recorded, and
    waiting loops call `check`. Only long blocks that cannot do that are interrupted, and once at most.
    """

    def __init__(self) -> None:
        self._is_made = False
        self._interrupts = False

    def receive(self, _signal: int, _frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            KeyboardInterrupt: At the first signal, in a block of `interrupting`.
        """
        is_first, self._is_made = not self._is_made, True
        if is_first and self._interrupts:
            raise KeyboardInterrupt

    def check(self) -> None:
        """
        Raises:
            KeyboardInterrupt: A signal was received.
        """
        if self._is_made:
            raise KeyboardInterrupt

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A context that a signal interrupts."""
        self._interrupts = True
        try:
            self.check()
            yield
        finally:
            self._interrupts = False


def _keep_running(
    settings: Settings,
    children: Sequence[Child],
    migrate: Callable[[Settings], None],
    *,
    stop_request: StopRequest,
    stack: ExitStack,
) -> NoReturn:
    databases: list[ManagedProcess] = []
    if not (settings.database_url and settings.redis_url):
        require_programs(settings)
        servers = EmbeddedServers(settings.bugrelay_home)
        stack.callback(servers.close)
        servers.acquire()
        with stop_request.interrupting():
            databases.extend(_databases(settings, servers))
        settings = filled_in(settings, servers)
    with stop_request.interrupting():
        migrate(settings)
    _wait_for_port(settings, stop_request)
    programs: list[ManagedProcess] = []
    stack.callback(_stop_all, programs, seconds=settings.drain_seconds + STOP_SECONDS)
    for child in children:
        programs.append(ManagedProcess(child.name, _starter(child, settings)))  # noqa: PERF401 - stopped if the next fails
    _wait_for_health(settings, programs, stop_request)
    _announce(settings)
    while True:
        stop_request.check()
        for process in (*databases, *programs):
            process.restart_if_exited()
        time.sleep(POLL_SECONDS)


class ManagedProcess:
    """A process that is restarted when it exits, with exponential back-off, until too many starts fail in a row."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.name = name
        self._start = start
        self._quick_ends = 0
        self._resume_at: float | None = None
        self.process = start()
        self._started_at = time.monotonic()

    def restart_if_exited(self) -> None:
        """Restart it if it has exited and its pause is over.

        Raises:
            SupervisorError: Too many starts in a row have failed.
        """
        if self._resume_at is not None:
            if time.monotonic() >= self._resume_at:
                self._resume()
        elif self.process.poll() is not None:
            lived_seconds = time.monotonic() - self._started_at
            # A killed server leaves workers that hold its port.
            stop(self.process, signal.SIGKILL, seconds=STOP_SECONDS)
            self._pause(f"ended with {_ending(self.process)}", quick=lived_seconds < QUICK_SECONDS)

    def _resume(self) -> None:
        self._resume_at = None
        try:
            self.process = self._start()
        except EmbeddedError as error:
            self._pause(f"cannot be started ({error})", quick=True)
        else:
            self._started_at = time.monotonic()
            _say(f"{self.name} is started again")

    def _pause(self, what: str, *, quick: bool) -> None:
        self._quick_ends = self._quick_ends + 1 if quick else 0
        if self._quick_ends == QUICK_ENDS:
            raise SupervisorError(f"{self.name} {what}, {QUICK_ENDS} times in a row; giving up")
        pause_seconds = 0.25 * 2**self._quick_ends
        self._resume_at = time.monotonic() + pause_seconds
        _say(f"{self.name} {what}; starting it again in {pause_seconds:g} s")


def _databases(settings: Settings, servers: EmbeddedServers) -> Iterator[ManagedProcess]:
    """Start the embedded databases for which no URL is set."""
    if not settings.database_url:
        yield ManagedProcess("postgres", servers.start_postgres)
    if not settings.redis_url:
        yield ManagedProcess("redis", servers.start_redis)


def _starter(child: Child, settings: Settings) -> Callable[[], subprocess.Popen[bytes]]:
    urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    files = {f"{name}_FILE": "" for name in urls}  # read already: a setting has one of both
    env = {**os.environ, **urls, **files, **child.env}
    return lambda: spawn(child.argv, death_signal=signal.SIGTERM, env=env)


def _stop_all(programs: Sequence[ManagedProcess], *, seconds: float) -> None:
    for kept in programs:
        stop(kept.process, signal.SIGTERM, seconds=seconds)


def _wait_for_port(settings: Settings, stop_request: StopRequest) -> None:
    """Wait until the port is free, since another listener would respond instead of the server."""
    seconds = settings.drain_seconds + PORT_SECONDS
    deadline = time.monotonic() + seconds
    is_reported = False
    while problem := _cannot_listen(settings):
        if problem.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise SupervisorError(
                f"{_setting_of(problem)}: cannot listen on {settings.host}:{settings.port}: {problem.strerror}"
            )
        if not is_reported:
            _say(f"{settings.host}:{settings.port} is in use, waiting for it up to {seconds} s")
            is_reported = True
        stop_request.check()
        time.sleep(POLL_SECONDS)


def _cannot_listen(settings: Settings) -> OSError | None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return error
    return None


def _setting_of(problem: OSError) -> str:
    return "HOST" if problem.errno == errno.EADDRNOTAVAIL else "PORT"


def _wait_for_health(
    settings: Settings, programs: Sequence[ManagedProcess], stop_request: StopRequest
) -> None:
    deadline = time.monotonic() + HEALTH_SECONDS
    while not answers(settings):
        for kept in programs:
            if kept.process.poll() is not None:
                raise SupervisorError(f"{kept.name} ended with {_ending(kept.process)} before it was ready")
        if time.monotonic() > deadline:
            raise SupervisorError(f"no answer from {settings.host}:{settings.port} in {HEALTH_SECONDS} s")
        stop_request.check()
        time.sleep(POLL_SECONDS)


def answers(settings: Settings) -> bool:
    """Whether a server responds on HOST:PORT, even if it is overloaded or its databases are down."""
    every_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask, not where to listen
    host = every_address.get(settings.host, settings.host)
    with closing(http.client.HTTPConnection(host, settings.port, timeout=2)) as connection:
        try:
            connection.request("GET", "/health")
            # ALLOWED_HOSTS may refuse this address: that is a response, too.
            return connection.getresponse().status < SERVER_ERROR
        except (OSError, http.client.HTTPException):
            return False


def _announce(settings: Settings) -> None:
    _say(f"listening on {settings.host}:{settings.port}, documentation at {settings.public_url}/docs")
    _say("stop it with Ctrl-C")


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _say(text: str) -> None:
    print(f"bugrelay: {text}", flush=True)
