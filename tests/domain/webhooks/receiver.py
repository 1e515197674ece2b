"""Receivers of webhooks on loopback, as a test sets them up, and the egress guard that reaches them alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.infra.security.outside import AUTHORITY

HOST = "hooks.paper.example"


@dataclass(frozen=True)
class Post:
    """One request, as it was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A receiver under several paths. `answer` gives the status for a post; while `held`, it waits before it answers."""

    port: int = 0
    posts: list[Post] = field(default_factory=list)
    answer: Callable[[Post], int] = lambda _post: 204
    held: bool = False
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: dict[str, int] = field(default_factory=dict)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/") -> str:
        return f"https://{HOST}:{self.port}{path}"

    def ids(self, path: str = "/") -> list[str]:
        return [post.id for post in self.posts if post.path == path]

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self.held = False
        self._released.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            post = await _read(reader)
            self.posts.append(post)
            self.at_once[post.path] = self.at_once.get(post.path, 0) + 1
            self.most_at_once[post.path] = max(self.at_once[post.path], self.most_at_once.get(post.path, 0))
            try:
                if self.held:
                    await self._released.wait()
            finally:
                self.at_once[post.path] -= 1
            status = self.answer(post)
            head = f"HTTP/1.1 {status} Said\r\nContent-Length: 6\r\nLocation: https://127.0.0.1/\r\nConnection: close\r\n\r\n"
            writer.write(
                head.encode() + b"thanks"
                if status not in (204, 304)
                else f"HTTP/1.1 {status} Said\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            return  # the sender has had enough


async def _read(reader: asyncio.StreamReader) -> Post:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Post(first.split(" ")[1], headers, await reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def receiving(*, host: str = HOST) -> AsyncIterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(host).configure_cert(context)
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.release()
        server.close()
