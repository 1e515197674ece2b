"""Clients that ask and do not read: they hold little memory, take no place from others, and are closed."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.factories import a_report
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board
from tests.faults.test_protocol import request
from tests.infra.redis.server import eventually

MIB = 1024 * 1024
PICTURE_BYTES = 9_600_000
CLIENTS = 60
MIB_OF_A_CLIENT = (
    1  # for the buffers of the server, with room: they take half of it, a whole picture nine times
)

Rows = psycopg.Connection[object]
Large = Callable[[Board, Rows], Awaitable[str]]


async def store_picture(board: Board, rows: Rows) -> str:
    """The address of a picture as large as any may be."""
    async with board.visitor() as visitor:
        bug = (await visitor.post("/api/v1/bugs", json=a_report())).json()["bug"]
    key = f"bugs/{uuid4().hex}.png"
    path = board.home / "uploads" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(PICTURE_BYTES))
    rows.execute(
        "INSERT INTO attachments (id, bug_id, filename, storage_key, file_size, mime_type)"
        " VALUES (gen_random_uuid(), %s, 'a.png', %s, %s, 'image/png')",
        (bug["id"], key, PICTURE_BYTES),
    )
    return f"/uploads/{key}"


async def write_long_comments(board: Board, rows: Rows) -> str:
    """The address of a bug that is answered with several MiB of JSON."""
    async with board.visitor() as visitor:
        bug = (await visitor.post("/api/v1/bugs", json=a_report())).json()["bug"]
    rows.execute(
        "INSERT INTO comments (id, bug_id, content, content_html)"
        " SELECT gen_random_uuid(), %s, text, text"
        " FROM repeat('\U0001d11e', 2000) AS text, generate_series(1, 100)",
        (bug["id"],),
    )
    rows.execute("UPDATE bugs SET comment_count = 100 WHERE id = %s", (bug["id"],))
    return f"/api/v1/bugs/{bug['id']}"


@contextmanager
def silent_clients(board: Board, path: str, *, count: int = CLIENTS) -> Iterator[list[socket.socket]]:
    """Clients that have asked, have seen that their response began, and read no more of it."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(30)
            client.connect(("127.0.0.1", board.port))
            client.sendall(request(f"GET {path}"))
            assert client.recv(12) == b"HTTP/1.1 200"
            clients.append(client)
        yield clients


def open_connections(board: Board) -> int:
    """How many connections the server has, as the kernel counts them."""
    port = f":{board.port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(1 for field in fields if field[1].endswith(port) and field[3] == "01")


def resident_mib(board: Board, *, peak: bool = False) -> float:
    (worker,) = board.workers()
    status = Path(f"/proc/{worker}/status").read_text()
    (kib,) = re.findall(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
    return int(kib) / 1024


@pytest.mark.parametrize("large", [store_picture, write_long_comments], ids=["a file", "JSON"])
async def test_clients_that_do_not_read_hold_little_and_are_closed(
    start_board: StartBoard, rows: Rows, large: Large
) -> None:
    board = start_board(SEND_TIMEOUT_SECONDS="1")
    path = await large(board, rows)
    async with board.visitor() as visitor:
        whole = await visitor.get(path)
    assert len(whole.content) > MIB
    before = resident_mib(board)
    with silent_clients(board, path) as clients:
        await eventually(lambda: open_connections(board) == 0, seconds=120)
        assert resident_mib(board, peak=True) - before < CLIENTS * MIB_OF_A_CLIENT
        for client in clients:
            assert received_of(client) < len(whole.content) / 2
    async with board.visitor() as visitor:
        assert (await visitor.get(path)).content == whole.content


def received_of(client: socket.socket) -> int:
    """How many bytes had arrived when the server closed the connection."""
    received = 0
    try:
        while part := client.recv(65536):
            received += len(part)
    except ConnectionResetError:
        return received
    return received


async def test_clients_that_do_not_read_take_no_slots_from_others(
    start_board: StartBoard, rows: Rows
) -> None:
    board = start_board(MAX_REQUESTS_IN_FLIGHT="20")
    path = await store_picture(board, rows)
    with silent_clients(board, path):
        async with board.visitor() as visitor:
            assert [(await visitor.get("/api/v1/bugs?page=2")).status_code for _ in range(20)] == [200] * 20


async def test_a_client_that_reads_slowly_gets_the_whole_file(board: Board, rows: Rows) -> None:
    path = await store_picture(board, rows)
    with silent_clients(board, path, count=1) as (client,):
        received = 0
        while received < PICTURE_BYTES:
            part = client.recv(65536)
            assert part
            received += len(part)


async def test_a_file_that_storage_loses_meanwhile_is_broken_off(board: Board, rows: Rows) -> None:
    path = await store_picture(board, rows)
    with silent_clients(board, path, count=1) as (client,):
        (board.home / path.removeprefix("/")).unlink()
        assert received_of(client) < PICTURE_BYTES
    assert "storage_unavailable" in board.log()


async def test_a_client_that_leaves_ends_the_reading_of_its_file(board: Board, rows: Rows) -> None:
    path = await store_picture(board, rows)
    before = files_served(board)
    with silent_clients(board, path, count=10):
        assert files_served(board) == before
    await eventually(lambda: files_served(board) == before + 10)


def files_served(board: Board) -> int:
    """How many requests for files have ended: each has its line in the log."""
    return board.log().count('"route":"/uploads/bugs/{name}"')


@pytest.mark.slow
async def test_the_time_to_make_progress_is_twenty_seconds(start_board: StartBoard, rows: Rows) -> None:
    board = start_board()
    path = await store_picture(board, rows)
    with silent_clients(board, path):
        assert open_connections(board) == CLIENTS
        await eventually(lambda: open_connections(board) == 0, seconds=60)
