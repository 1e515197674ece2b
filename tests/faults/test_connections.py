"""Connections that do nothing, or do it slowly, or end too early: they cost little, and nobody else notices."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from tests.factories import a_report
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board
from tests.faults.test_protocol import JSON, post, request, statuses
from tests.pace import patient

KINDS = {
    "idle": b"",
    "slow headers": b"GET /health HTTP/1.1\r\nHos",
    "slow bodies": post("Content-Length: 500\r\n", b"{"),
}


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """This process opens as many connections as the server."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def connections(board: Board, sent: bytes, *, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    opened = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
            writer.write(sent)
            opened.append((reader, writer))
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


@pytest.mark.parametrize("sent", KINDS.values(), ids=KINDS.keys())
async def test_1200_connections_that_do_nothing_leave_good_clients_fine(board: Board, sent: bytes) -> None:
    """More than the thousand requests that a process works on at once: waiting is no work."""
    async with connections(board, sent, count=1200):
        await asyncio.sleep(0.2)
        seconds = []
        for page in range(2, 22):
            async with board.visitor() as visitor:
                began = time.monotonic()
                assert (await visitor.get(f"/api/v1/bugs?page={page}")).status_code == 200
                seconds.append(time.monotonic() - began)
    assert sorted(seconds)[10] < patient(0.5)


@pytest.mark.slow
async def test_clients_that_do_not_read_their_responses_hold_no_slot(start_board: StartBoard) -> None:
    board = start_board(MAX_REQUESTS_IN_FLIGHT="20")
    async with connections(board, request("GET /docs/openapi.json") * 20, count=100):
        await until_served_in_a_row(board, 20)


async def until_served_in_a_row(board: Board, count: int) -> None:
    """Until those before are answered or refused, which on a busy machine takes its time."""
    served_in_a_row = 0
    async with board.visitor() as visitor, asyncio.timeout(30):
        while served_in_a_row < count:
            await asyncio.sleep(0.02)
            status = (await visitor.get("/api/v1/bugs?page=2")).status_code
            served_in_a_row = served_in_a_row + 1 if status == 200 else 0


async def test_a_sender_who_breaks_off_is_no_error_of_ours(board: Board) -> None:
    for sent in (
        post("Content-Length: 500\r\n", b"{"),
        post("Transfer-Encoding: chunked\r\n", b"1\r\n{\r\n"),
        post("Expect: 100-continue\r\nContent-Length: 500\r\n"),
    ):
        async with connections(board, sent, count=20):
            await asyncio.sleep(0.05)
    async with board.visitor() as visitor:
        assert (await visitor.get("/api/v1/bugs")).status_code == 200
    assert board.complaints() == []


async def test_a_reader_who_leaves_early_is_no_error_of_ours(
    start_board: StartBoard, rows: psycopg.Connection[object]
) -> None:
    board = start_board(MAX_REQUESTS_IN_FLIGHT="30")
    with rows.transaction():
        rows.execute("LOCK TABLE bugs")
        async with connections(board, request("GET /api/v1/bugs?page=2"), count=20):
            await asyncio.sleep(0.2)
    async with connections(board, request("GET /docs/openapi.json"), count=20):
        pass
    await until_served_in_a_row(board, 40)


async def test_a_change_whose_sender_left_is_made_or_not_made_whole(
    board: Board, rows: psycopg.Connection[object]
) -> None:
    title = "Left before the answer came"
    body = (
        b'{"title":"%s","description":"It does not matter.","application_name":"Gone","recaptcha_token":"t"}'
    )
    body %= title.encode()
    async with connections(board, post(f"Content-Length: {len(body)}\r\n", body), count=20):
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    lost = rows.execute(
        "SELECT count(*) FROM bugs WHERE title = %s AND id NOT IN (SELECT bug_id FROM bug_texts)", (title,)
    )
    assert lost.fetchone() == (0,)


@pytest.mark.slow
async def test_memory_for_bodies_is_bounded(start_board: StartBoard) -> None:
    board = start_board()
    announced = post("Content-Length: 1048576\r\n", b" " * 1_000_000)
    async with connections(board, announced, count=400) as readers:
        refused = [asyncio.create_task(reader.read(12)) for reader in readers]
        done, waiting = await asyncio.wait(refused, timeout=4)
        assert {statuses(task.result() + b" ")[0] for task in done} == {503}
        assert waiting
        for task in waiting:
            task.cancel()
        (worker,) = board.workers()
        assert resident_bytes(worker) < 700 * 1024 * 1024
    async with board.visitor() as visitor:
        assert (await visitor.post("/api/v1/bugs", json=a_report())).status_code == 201


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def seconds_until_closed(board: Board, sent: bytes, more: bytes = b"") -> tuple[float, bytes]:
    """How long the server bears it, with `more` sent every second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
    began = time.monotonic()
    writer.write(sent)

    async def trickle() -> None:
        while more:
            await asyncio.sleep(1)
            writer.write(more)

    trickling = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(65):
            answer = await reader.read()
    finally:
        trickling.cancel()
        writer.close()
    return time.monotonic() - began, answer


@pytest.mark.slow
async def test_slow_headers_and_bodies_are_closed_within_60_seconds(board: Board) -> None:
    body = f"POST /api/v1/bugs HTTP/1.1\r\nHost: x\r\n{JSON}"
    results = await asyncio.gather(
        seconds_until_closed(board, b""),
        seconds_until_closed(board, b"GET /health HTTP/1.1\r\nHos"),
        seconds_until_closed(board, b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-A: a\r\n"),
        seconds_until_closed(board, request("GET /health")),
        seconds_until_closed(board, f"{body}Content-Length: 500\r\n\r\n".encode(), b" "),
        seconds_until_closed(board, f"{body}Transfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n \r\n"),
    )
    assert all(seconds < 60 for seconds, _ in results)
    assert [statuses(answer) for _, answer in results] == [[], [], [], [200], [400], [400]]
