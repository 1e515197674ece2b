"""Streams over a real server, with the clients of docs/live.md, while connections break and Redis is away."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.event_streams import SECONDS, Parsed, StreamEvent
from tests.factories import Person, make_member, register, report
from tests.faults.conftest import StartBoard
from tests.faults.proxy import FaultProxy, Mode
from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import Valkey, eventually

PAGE = Path(__file__).parents[2] / "docs" / "live.md"
STREAM = "/api/v1/events/stream"
Rows = psycopg.Connection[Any]
Handle = Callable[[dict[str, Any]], Awaitable[None]]


def documented_client() -> Any:
    """The `follow` of the page, as it stands there."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    return names["follow"]


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One that the test breaks."""
    valkey = Valkey()
    valkey.start()
    yield valkey
    valkey.send_signal(signal.SIGCONT)
    valkey.remove()


async def a_member(board: Board, rows: Rows) -> Person:
    async with board.visitor() as visitor:
        name = f"m{board.port}"
        bug = await report(visitor, application_name=name, application_url=f"https://{name}.example")
        person = await register(visitor, name)
    make_member(rows, person, bug["assigned_company_id"])
    return person


async def make_tickets(visitor: httpx.AsyncClient, person: Person, *titles: str) -> None:
    for title in titles:
        response = await visitor.post("/api/v1/tickets", json={"title": title}, headers=person.headers)
        assert response.status_code == 201, response.text


async def test_the_documented_client_neither_misses_nor_repeats_events(board: Board, rows: Rows) -> None:
    """Its connections break in the middle of the events, and it starts before the first one."""
    person = await a_member(board, rows)
    heard: list[int] = []

    async def handle(event: dict[str, Any]) -> None:
        heard.append(event["id"])

    async def reload() -> None:
        raise AssertionError

    async def headers() -> dict[str, str]:
        return person.headers

    async with FaultProxy(("127.0.0.1", board.port)) as proxy, board.visitor() as visitor:
        url = f"http://127.0.0.1:{proxy.port}{STREAM}"
        following = asyncio.create_task(documented_client()(url, headers, "0", handle, reload))
        try:
            for round_ in range(3):
                await make_tickets(visitor, person, *(f"{round_}.{i}" for i in range(5)))
                proxy.set_mode("reset")
                await make_tickets(visitor, person, *(f"{round_}.{i}" for i in range(5)))
                proxy.set_mode("pass")
                page = await visitor.get("/api/v1/events?limit=500", headers=person.headers)
                head = page.json()["head"]
                await eventually(partial(lambda number: number in heard, head), seconds=60)
            assert heard == list(range(1, head + 1))
            assert proxy.connections >= 3
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class Listening:
    """A stream over HTTP, and what it has sent."""

    def __init__(self, visitor: httpx.AsyncClient, person: Person) -> None:
        self._visitor, self._person = visitor, person
        self.received: list[StreamEvent] = []
        self.began = asyncio.Event()

    async def run(self) -> None:
        parsed = Parsed()
        async with self._visitor.stream("GET", STREAM, headers=self._person.headers) as response:
            assert response.status_code == 200
            async for chunk in response.aiter_bytes():
                self.received += parsed.feed(chunk)
                self.began.set()

    @property
    def ids(self) -> list[int]:
        return [one.data["id"] for one in self.received]


async def test_events_are_sent_while_redis_is_killed_hung_or_flushed(
    start_board: StartBoard, rows: Rows, valkey: Valkey
) -> None:
    board = start_board(REDIS_URL=valkey.url, WORKERS="2")
    person = await a_member(board, rows)
    async with board.visitor() as visitor:
        listening = [Listening(visitor, person) for _ in range(6)]
        tasks = [asyncio.create_task(one.run()) for one in listening]
        try:
            async with asyncio.timeout(SECONDS):
                for one in listening:
                    await one.began.wait()
            await make_tickets(visitor, person, "All is well")
            valkey.send_signal(signal.SIGSTOP)
            await make_tickets(visitor, person, "It hangs", "It hangs still")
            valkey.send_signal(signal.SIGCONT)
            valkey.ask("FLUSHALL")
            await make_tickets(visitor, person, "It is flushed")
            valkey.kill()
            await make_tickets(visitor, person, "It is gone")
            valkey.start()
            await make_tickets(visitor, person, "It is back")
            page = (await visitor.get("/api/v1/events?limit=500", headers=person.headers)).json()
            expected = [event["id"] for event in page["events"]][1:]  # the report was before
            await eventually(lambda: all(one.ids[-1:] == expected[-1:] for one in listening), seconds=60)
            assert [one.ids for one in listening] == [expected] * 6
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_streams_survive_an_outage_of_postgresql_without_losing_events(
    start_board: StartBoard, postgres: Postgres, rows: Rows
) -> None:
    async with FaultProxy(postgres.socket) as proxy:
        url = postgres.url_through(proxy.port)
        board = await asyncio.to_thread(start_board, DATABASE_URL=url)
        person = await a_member(board, rows)
        async with board.visitor() as visitor:
            listening = Listening(visitor, person)
            task = asyncio.create_task(listening.run())
            try:
                async with asyncio.timeout(SECONDS):
                    await listening.began.wait()
                await make_tickets(visitor, person, "Before")
                modes: tuple[Mode, ...] = ("reset", "hang")
                for outages, mode in enumerate(modes, 1):
                    proxy.set_mode(mode)
                    await eventually(partial(_was_interrupted, board, outages), seconds=60)
                    rows.execute("SELECT log_events(%s)", (an_internal_event(rows, person),))
                    proxy.set_mode("pass")
                    await eventually(partial(_has, listening, 3 + outages), seconds=60)
                assert listening.ids == [2, 3, 4, 5]
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _was_interrupted(board: Board, times: int) -> bool:
    return board.log().count("live_interrupted") >= times


def _has(listening: Listening, number: int) -> bool:
    return number in listening.ids


def an_internal_event(rows: Rows, person: Person) -> str:
    """What log_events() takes, of the person's company."""
    found = rows.execute(
        "SELECT company_id::text FROM company_members WHERE user_id = %s", (person.id,)
    ).fetchone()
    assert found is not None
    entry = {"stream": found[0], "type": "ticket.restored", "visibility": "internal", "data": {}}
    return json.dumps([entry | {"cause": {"kind": "user", "chain": []}}])


async def test_a_server_that_stops_ends_its_streams_in_order(start_board: StartBoard, rows: Rows) -> None:
    board = start_board()
    async with board.visitor() as visitor, visitor.stream("GET", "/api/v1/bugs/events/stream") as response:
        chunks = response.aiter_bytes()
        parsed = Parsed()
        parsed.feed(await anext(chunks))
        assert "content-encoding" not in response.headers  # it would wait for more
        line = '"route":"/api/v1/bugs/events/stream","status":200'
        await eventually(lambda: line in board.log())  # logged when it begins
        stopping = asyncio.create_task(asyncio.to_thread(board.terminate))
        async for chunk in chunks:
            parsed.feed(chunk)
        await stopping
    assert len(parsed.retries) == 2
    assert parsed.position
