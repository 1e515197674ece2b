"""Clients of the WebSocket: the library `websockets`, and what a client of ours does with it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.factories import Person, make_member, register, report
from tests.faults.servers import Board

SECONDS = 60  # that a test waits for anything; nothing takes nearly as long


class Socket:
    """One connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, type_: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type_, **fields}))

    async def hear(self) -> dict[str, Any]:
        """The next message that is no ping."""
        async with asyncio.timeout(SECONDS):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                if message["type"] != "ping":
                    return message
                await self.say("pong")

    async def heard(self, type_: str) -> dict[str, Any]:
        message = await self.hear()
        assert message["type"] == type_, message
        return message

    async def event(self) -> dict[str, Any]:
        return await self.heard("event")

    async def event_of(self, type_: str) -> dict[str, Any]:
        """The next event of this type, after others."""
        while (event := await self.event())["event"] != type_:
            pass
        return event

    async def rest(self) -> list[dict[str, Any]]:
        """All that still comes until the connection is closed."""
        messages = []
        try:
            while True:
                messages.append(await self.hear())
        except ConnectionClosed:
            return messages

    async def closed(self) -> int | None:
        """The code of the close frame, after whatever still comes."""
        await self.rest()
        return self.connection.close_code

    async def signed_in(self, person: Person, **fields: Any) -> dict[str, Any]:
        await self.say("auth", token=person.access_token, **fields)
        return await self.heard("hello")


@dataclass(frozen=True)
class Company:
    """A tenant of a test's own, with one member."""

    id: str
    member: Person
    sql: psycopg.Connection[Any]

    async def joined(self, visitor: httpx.AsyncClient, role: str = "member") -> Person:
        """Another of its people."""
        person = await register(visitor, f"u{uuid4().hex[:20]}")
        make_member(self.sql, person, self.id, role=role)
        return person

    @property
    def head(self) -> int:
        """The number of its newest event."""
        row = self.sql.execute("SELECT last_seq FROM event_streams WHERE stream = %s", (self.id,)).fetchone()
        return row[0] if row else 0


async def found_company(visitor: httpx.AsyncClient, sql: psycopg.Connection[Any]) -> Company:
    name = uuid4().hex[:12]
    bug = await report(visitor, application_name=name, application_url=f"https://{name}.example")
    person = await register(visitor, f"u{uuid4().hex[:20]}")
    make_member(sql, person, bug["assigned_company_id"])
    return Company(bug["assigned_company_id"], person, sql)


async def write(visitor: httpx.AsyncClient, person: Person, **fields: Any) -> dict[str, Any]:
    """A ticket, which is one event, and in a company's first year two."""
    body = {"title": "The printer is out of paper", **fields}
    response = await visitor.post("/api/v1/tickets", json=body, headers=person.headers)
    assert response.status_code == 201, response.text
    ticket: dict[str, Any] = response.json()["ticket"]
    return ticket


@asynccontextmanager
async def socket(
    board: Board,
    client_id: str = "test",
    *,
    person: Person | None = None,
    host: str = "127.0.0.1",
    sock: Any = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Socket]:
    """A connection; signed in by its handshake where a person is named."""
    sent = (person.headers if person else {}) | (headers or {})
    url = f"ws://{host}:{board.port}/ws/{client_id}"
    address = {"sock": sock} if sock else {"host": "127.0.0.1", "port": board.port}
    options = {"proxy": None, "ping_interval": None, **address, **options}
    async with connect(url, additional_headers=sent, **options) as connection:
        yield Socket(connection)


@dataclass
class Follower:
    """A client that comes back and goes on after the last event that it has.

    Attributes:
        since: Where it begins.
        ids: Of the events, in the order in which it had them.
        codes: How its connections were closed; None: without a close frame, or not opened.
    """

    board: Board
    person: Person
    client_id: str
    since: int
    ids: list[int] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.ids[-1] if self.ids else self.since

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with socket(self.board, self.client_id, person=self.person) as connection:
                    await self._listen(connection)
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else None)
            except (OSError, EOFError, InvalidHandshake, httpx.TransportError):
                self.codes.append(None)
            await asyncio.sleep(random.random() / 2)

    async def _listen(self, connection: Socket) -> None:
        await connection.heard("hello")
        await connection.say("subscribe", since=self.last)
        while True:
            message = json.loads(await connection.connection.recv())
            if message["type"] == "event":
                self.ids.append(message["id"])
            elif message["type"] == "resync":
                await self._load(message["head"])
            else:
                await connection.say("pong")

    async def _load(self, head: int) -> None:
        """What was missed, up to where the events go on."""
        async with self.board.visitor(headers=self.person.headers) as visitor:
            while self.last < head:
                response = await visitor.get("/api/v1/events", params={"since": self.last})
                self.ids += [event["id"] for event in response.json()["events"] if event["id"] <= head]
