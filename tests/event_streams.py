"""A client of server-sent events, which talks to an application of this process or, over HTTP, to a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

SECONDS = 30


@dataclass
class StreamEvent:
    """One event as it stands in a stream."""

    id: str
    data: Any
    name: str = "message"


@dataclass
class Parsed:
    """What the bytes of a stream say (WHATWG HTML, 9.2.6), as far as they are ours."""

    position: str = ""
    retries: list[int] = field(default_factory=list)
    comments: int = 0
    _rest: str = ""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        *blocks, self._rest = (self._rest + chunk.decode()).split("\n\n")
        return [received for block in blocks if (received := self._read(block)) is not None]

    def _read(self, block: str) -> StreamEvent | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        self.comments += "" in fields
        self.retries += [int(fields["retry"])] if "retry" in fields else []
        self.position = fields.get("id", self.position)
        if "data" not in fields:
            return None
        return StreamEvent(self.position, json.loads(fields["data"]), fields.get("event", "message"))


class Stream:
    """One that is open at an application of this process. While `reads` is not set, its client takes nothing."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.parsed = Parsed()
        self.reads = asyncio.Event()
        self.reads.set()
        self.over = asyncio.Event()
        self._left = asyncio.Event()
        self._began = asyncio.Event()
        self._received: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self._requested = False

    async def receive(self) -> dict[str, Any]:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        body = message.get("body", b"")
        self.body += body
        if self.status == 200:
            for received in self.parsed.feed(body):
                self._received.put_nowait(received)
        if body or not message.get("more_body"):
            self._began.set()

    async def run(self, app: Any, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self.receive, self.send)
        finally:
            self._received.put_nowait(None)
            self._began.set()
            self.over.set()

    async def began(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self._began.wait()

    def leave(self) -> None:
        self._left.set()

    async def next(self) -> StreamEvent | None:
        """The next message; None at the end."""
        async with asyncio.timeout(SECONDS):
            return await self._received.get()

    async def take(self, count: int) -> list[StreamEvent]:
        """So many events."""
        taken = [await self.next() for _ in range(count)]
        assert None not in taken, "the stream has ended"
        return [received for received in taken if received is not None]

    async def until(self, number: Any) -> list[StreamEvent]:
        """The events up to the one with this id in its data."""
        taken = await self.take(1)
        while taken[-1].data.get("id") != number:
            taken += await self.take(1)
        return taken

    async def rest(self) -> list[StreamEvent]:
        """All that comes until it ends."""
        taken = []
        while (received := await self.next()) is not None:
            taken.append(received)
        return taken


@asynccontextmanager
async def opened(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Stream]:
    """A stream at the application that this client talks to; with the headers' names in Python's spelling."""
    app = client._transport.app  # type: ignore[attr-defined]
    request = client.build_request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": ("board.example", 80),
        "client": ("127.0.0.1", 123),
    }
    stream = Stream()
    task = asyncio.create_task(stream.run(app, scope))
    try:
        await stream.began()
        yield stream
    finally:
        stream.leave()
        stream.reads.set()
        async with asyncio.timeout(SECONDS):
            await task
