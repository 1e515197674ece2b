"""Logs: one JSON object per line on standard error, a fixed event name, and facts as fields."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO

import msgspec
import structlog

from bugrelay.infra.standard_streams import log_raw_output

log = structlog.get_logger()

_encode = msgspec.json.Encoder(enc_hook=repr).encode


_stream: BinaryIO | None = None  # standard error as it was at the start; None: as it is


def _to_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)


def configure_logging(level: int = logging.INFO) -> None:
    """Our own events from `level` up and the warnings of libraries, in the same form."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_log_stream()),  # one system call per line
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryHandler()])
    logging.captureWarnings(True)


def configure_service_logging() -> None:
    """The same for a background process: everything that it writes becomes a log line."""
    global _stream  # noqa: PLW0603 - a process has one standard error; those that it forks log there, too
    if _stream is None:
        _stream = log_raw_output()
    configure_logging()
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _log_stream() -> BinaryIO:
    return _stream or sys.stderr.buffer


class _LibraryHandler(logging.Handler):
    """Turns log records of libraries, and Python's warnings, into events."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(
            record.levelno,
            "library_message",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("uncaught_exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    error = hook.exc_value or hook.exc_type()
    log.error(
        "uncaught_exception",
        thread=hook.thread.name if hook.thread else None,
        exc_info=(hook.exc_type, error, hook.exc_traceback),
    )


def _log_unraisable(hook: sys.UnraisableHookArgs) -> None:
    error = hook.exc_value or hook.exc_type()
    log.error(
        "unraisable_exception",
        message=hook.err_msg,
        exc_info=(hook.exc_type, error, hook.exc_traceback),
    )


class _RequestLine(msgspec.Struct):
    method: str
    route: str
    status: int
    ms: float
    request_id: str
    timestamp: datetime
    event: str = "request"
    level: str = "info"


_request_lines: list[bytes] = []


def log_request(*, method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """Log one request, in the form of all other events.

    It bypasses structlog, whose chain of processors costs more than the rest of a cached response, and is written with
    the lines of other requests that end in the same turn of the event loop: one system call for all of them.
    """
    line = _RequestLine(method, route, status, round(seconds * 1000, 1), request_id, datetime.now(UTC))
    if not _request_lines:
        asyncio.get_running_loop().call_soon(_write_request_lines)
    _request_lines.append(_encode(line) + b"\n")


def _write_request_lines() -> None:
    lines = b"".join(_request_lines)
    _request_lines.clear()
    stream = _log_stream()
    stream.write(lines)
    stream.flush()
