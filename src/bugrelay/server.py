"""One server: granian's processes on HOST:PORT, which share one listening socket."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVarTuple

import structlog
import uvloop
from granian import loops
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server import MPServer

from bugrelay.infra.garbage_collector import collect_rarely, collector_paused
from bugrelay.infra.imports import import_deferred
from bugrelay.infra.lifecycle import Lifecycle
from bugrelay.infra.listener import (
    BACKLOG,
    bound_responses,
    drop_new_connections,
    listen,
    wait_until_accepted,
)
from bugrelay.infra.logging import configure_service_logging
from bugrelay.infra.optional_packages import left_out
from bugrelay.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

HEADER_MILLISECONDS = 20_000  # slow headers are closed; the contract allows 60 s
HEADER_BYTES = 64 * 1024  # of one request, its line included; of a response, hyper buffers as much
STOP_SECONDS = 10
MAX_CONNECTIONS = 4096  # of one process, including idle ones: it accepts no more until one is closed
_POLL_SECONDS = 0.05

log = structlog.get_logger()

Ts = TypeVarTuple("Ts")


# Granian's own handlers write text to standard output; without them its messages reach our handlers.
GRANIAN_LOGGING: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {}, "granian.access": {}},
}


def serve(settings: Settings, *, join: bool = False, max_connections: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, and then finish accepted requests.

    Args:
        settings: The settings of the server and all its processes.
        join: Share the port with servers that listen on it already.
        max_connections: The connections that PostgreSQL allows to an ordinary role, if known.

    Raises:
        SettingError: HOST:PORT cannot be listened on.
    """
    configure_service_logging()
    _ignore_hangup()
    _allow_open_files()
    lifecycle = Lifecycle()
    loops.register("uvloop")(partial(_process_loop, lifecycle))
    server = _Server(
        "bugrelay.app:served_app",
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        backpressure=MAX_CONNECTIONS,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,  # HTTP/2 is left to the proxy in front; here it would need limits of its own
        websockets=True,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        log_access=False,
        log_dictconfig=GRANIAN_LOGGING,
    )
    server.on_startup(_ignore_hangup)  # granian has a handler of its own by then
    server.listener = listen(settings.host, settings.port, join=join)
    bound_responses(server.listener, timeout_seconds=settings.send_timeout_seconds)
    server.lifecycle = lifecycle
    server.drain_seconds = settings.drain_seconds
    for doubt in settings.doubts:
        log.warning("setting_doubtful", meaning=doubt)
    _compare_connections(settings, max_connections)
    server.serve(target_loader=partial(_application, lifecycle), wrap_loader=False)


def _compare_connections(settings: Settings, max_connections: int | None) -> None:
    wanted = settings.server_connections
    if max_connections is not None and wanted > max_connections:
        log.warning(
            "setting_doubtful",
            meaning=f"DATABASE_POOL: this server may ask for {wanted} connections, PostgreSQL has {max_connections}",
        )


class _Server(MPServer):
    """granian with one listening socket for all processes, which drains before it stops.

    Without this, granian opens a socket for each process, on a port that any other server may share, and connections
    that the kernel has queued for a process are reset when it ends. docs/adr/0019 has the order of a stop.
    """

    listener: socket.socket
    lifecycle: Lifecycle
    drain_seconds: int
    hurried = False

    def _init_shared_socket(self) -> None:
        """Pass our socket to the processes, as granian does without SO_REUSEPORT."""
        self._ssp, self._sso = None, self.listener
        self._shd = SocketHolder(os.dup(self.listener.fileno()), False, BACKLOG)  # type: ignore[assignment, call-arg]

    def signal_handler_interrupt(self, *arguments: Any, **named: Any) -> None:
        """A second signal ends draining early."""
        self.hurried = self.interrupt_signal
        super().signal_handler_interrupt(*arguments, **named)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        self._drain()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def _drain(self) -> None:
        log.info("server_draining", seconds=self.drain_seconds)
        self.lifecycle.drain()
        until = time.monotonic() + self.drain_seconds
        while not self.hurried and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        try:
            drop_new_connections(self.listener)
        except OSError as error:  # connections of the last moment may be reset
            log.warning("new_connections_not_dropped", cause=str(error))
        wait_until_accepted(self.listener)
        self.lifecycle.stop()


class _ProcessLoop(uvloop.Loop):
    """Obeys SIGTERM and SIGINT only once the parent is stopping.

    Terminals and service managers send them to all processes of a server at once, while the parent is still draining.
    """

    lifecycle: Lifecycle

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        super().add_signal_handler(sig, partial(self._obey, callback), *args)

    def _obey(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        if self.lifecycle.is_stopping:
            callback(*args)


def _ignore_hangup() -> None:
    """Ignore SIGHUP, with which granian would replace its processes, and reset connections to them."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _process_loop(lifecycle: Lifecycle) -> uvloop.Loop:
    loop = _ProcessLoop()
    loop.lifecycle = lifecycle
    asyncio.set_event_loop(loop)
    return loop


def _application(lifecycle: Lifecycle) -> Litestar:
    """The application, created in the process that serves it, so that the parent does not import it."""
    with collector_paused(), left_out("rich", "pygments"):  # httpx loads these for its own command
        with left_out("advanced_alchemy", "pydantic"):  # Litestar would load all of them for a class of pages
            import litestar  # noqa: F401 - before the tables, which load the part that is used
        from bugrelay.app import served_app

        import_deferred()
    app = served_app(lifecycle)
    collect_rarely()
    return app


def _allow_open_files() -> None:
    """Raise the soft limit of open files, since each connection is one; the usual 1024 is meant for `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
