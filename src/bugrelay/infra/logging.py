"""Logs: one JSON object a line on standard error, a static event name and facts as fields."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _to_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)


def configure_logging(level: int = logging.INFO) -> None:
    """Our own events from `level` up and the warnings of libraries, in one form."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _to_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),  # one system call a line
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


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
    """The line of one answered request, in the form of all others.

    Written past structlog, whose chain of processors costs more than all else that a hot answer needs, and with those
    of the other requests that end in the same turn of the loop: one system call for all of them.
    """
    line = _RequestLine(method, route, status, round(seconds * 1000, 1), request_id, datetime.now(UTC))
    if not _request_lines:
        asyncio.get_running_loop().call_soon(_write_request_lines)
    _request_lines.append(_encode(line) + b"\n")


def _write_request_lines() -> None:
    lines = b"".join(_request_lines)
    _request_lines.clear()
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()
