"""Logs what is written to standard output and standard error without a logger.

A panic in the server's native code, a traceback of the interpreter, a print in a library: none of these is JSON, which
the log must be. So both descriptors of a service become a pipe whose lines are logged, and the log has its own
descriptor.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from threading import Thread
from typing import BinaryIO

import msgspec

_CHUNK_BYTES = 65536
_DRAIN_SECONDS = 1.0

_encode = msgspec.json.Encoder().encode


class _RawOutput(msgspec.Struct):
    message: str
    timestamp: datetime
    event: str = "raw_output"
    level: str = "warning"


def log_raw_output() -> BinaryIO:
    """Replace descriptors 1 and 2 of this process and of its children by a pipe whose lines are logged.

    Returns:
        The former standard error: where the log is written from now on.
    """
    real = os.fdopen(os.dup(2), "wb")
    read_end, write_end = os.pipe()
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    reading = Thread(target=_log_lines, args=(read_end, real.fileno()), name="raw-output", daemon=True)
    reading.start()
    atexit.register(_drain, reading, real)
    return real


def _drain(reading: Thread, real: BinaryIO) -> None:
    """Wait until the last lines are logged, but not for long: a child that lives on keeps the pipe open."""
    for descriptor in (1, 2):
        os.dup2(real.fileno(), descriptor)
    reading.join(_DRAIN_SECONDS)


def _log_lines(read_end: int, real: int) -> None:
    rest = b""
    try:
        while chunk := os.read(read_end, _CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            _log(lines, real)
        _log([rest], real)
    finally:
        os.close(read_end)  # without a reader the pipe would fill up and block its writers


def _log(lines: Iterable[bytes], real: int) -> None:
    """Log lines; JSON passes unchanged, and other lines that were read together are one entry, such as a traceback.

    Nothing here takes a lock: a server forks its processes while this thread runs.
    """
    for is_json, group in groupby((line for line in lines if line.strip()), _is_json):
        text = b"\n".join(group)
        if not is_json:
            text = _encode(_RawOutput(text.decode(errors="replace"), datetime.now(UTC)))
        os.write(real, text + b"\n")


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except msgspec.DecodeError:
        return False
