"""A load client with little overhead: HTTP/1.1, persistent connections, one request at a time on each (a closed loop).

It shares two cores with the servers, so it does little: requests are bytes that were prepared before; of a response it
reads the status and the length, and counts the remaining bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

# Status and length of a response whose head is complete; all servers here send the length.
_HEAD = re.compile(rb"HTTP/1\.1 (\d+)(?s:.)*?\r\ncontent-length: *(\d+)\r\n(?:.*\r\n)*?\r\n", re.IGNORECASE)
PATIENCE_SECONDS = 60  # for responses to requests in flight when the time is up


@dataclass(frozen=True)
class Request:
    """A GET, or a POST with JSON if there is a body; `kind` is its name in the latencies by kind."""

    kind: str
    path: str
    body: Any = None
    method: str = ""  # by default POST if there is a body
    token: str = ""

    def encoded(self) -> bytes:
        method = self.method or ("GET" if self.body is None else "POST")
        head = f"{method} {self.path} HTTP/1.1\r\nHost: bench.example\r\n"
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        if self.body is None:
            return f"{head}\r\n".encode() if method == "GET" else f"{head}Content-Length: 0\r\n\r\n".encode()
        body = json.dumps(self.body).encode()
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Load:
    """The result of a load phase; latencies in seconds, by kind."""

    seconds: float = 0.0
    latencies: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Responses with status 200 or 201."""
        return sum(map(len, self.latencies.values()))

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    def percentile(self, percent: float, *kinds: str) -> float:
        """Of the named kinds, or of all."""
        every = sorted(
            itertools.chain.from_iterable(self.latencies[kind] for kind in kinds or self.latencies)
        )
        return percentile(every, percent)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that `percent` of a sorted sequence do not exceed; 0 for an empty one."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def drive(port: int, requests: Sequence[Request], *, connections: int, seconds: float) -> Load:
    """Send the requests in turn, over some connections, for some seconds.

    Requests in flight at the end are waited for and counted with their time, so slow responses are not left out.

    Raises:
        OSError: There is no server.
        TimeoutError: Responses to requests in flight did not arrive.
    """
    return uvloop.run(_drive(port, requests, connections=connections, seconds=seconds))


async def _drive(port: int, requests: Sequence[Request], *, connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    endless = itertools.cycle([(request.kind, request.encoded()) for request in requests])
    load = Load()
    started = time.perf_counter()
    stop_at = started + seconds
    opened = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(
            lambda: _Connection(endless, load, stop_at), "127.0.0.1", port
        )
        opened.append(protocol)
    async with asyncio.timeout(seconds + PATIENCE_SECONDS):
        await asyncio.gather(*(protocol.done for protocol in opened))
    load.seconds = time.perf_counter() - started
    return load


class _Connection(asyncio.Protocol):
    """One connection: sends the next request as soon as a response is complete."""

    def __init__(self, requests: Iterator[tuple[str, bytes]], load: Load, stop_at: float) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._load = load
        self._latencies = load.latencies
        self._stop_at = stop_at
        self._kind = ""
        self._sent_at = 0.0
        self._head = b""
        self._left = 0  # bytes of the body to come; 0 while the head is not complete
        self._good = False

    def connection_made(self, transport: Any) -> None:  # uvloop's is no subclass of asyncio's
        self._write = transport.write
        self._close = transport.close
        self._send(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            data = self._head + data
            head = _HEAD.match(data)
            if head is None:
                self._head = data
                return
            self._good = head[1] in (b"200", b"201")
            self._left = int(head[2]) - (len(data) - head.end())
        if not self._left:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def _answered(self) -> None:
        now = time.perf_counter()
        if self._good:
            self._latencies[self._kind].append(now - self._sent_at)
        else:
            self._load.failures[self._kind] += 1
        if now < self._stop_at:
            self._send(now)
        else:
            self.done.set_result(None)
            self._close()

    def _send(self, now: float) -> None:
        self._kind, request = next(self._requests)
        self._head = b""
        self._sent_at = now
        self._write(request)
