"""One server: granian's processes on HOST:PORT."""

from __future__ import annotations

import resource

import structlog
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from bugrelay.infra.logging import configure_logging
from bugrelay.settings import Settings

log = structlog.get_logger()

HEADER_MILLISECONDS = 20_000  # slow headers are closed; the contract allows 60 s
HEADER_BYTES = 64 * 1024  # of one request, its line included
STOP_SECONDS = 10
MOST_CONNECTIONS = 4096  # of one process, idle ones included: the server takes no more until one is closed


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted is finished first."""
    configure_logging()
    for doubt in settings.doubts:
        log.warning("setting_doubtful", meaning=doubt)
    _allow_open_files()
    Server(
        "bugrelay.app:served_app",
        factory=True,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        backpressure=MOST_CONNECTIONS,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,  # HTTP/2 is for the proxy in front; here it would be a second set of limits
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()


def _allow_open_files() -> None:
    """Each connection is an open file; the usual soft limit of 1024 is a default for programs that use `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
