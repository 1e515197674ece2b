"""SIGTERM, SIGHUP and a second server: no connection that was established is reset, and nobody shares by accident."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.faults.conftest import StartBoard
from tests.faults.servers import Board, free_port
from tests.infra.redis.server import eventually

REQUEST = b"GET /health HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n"
LONG_DRAIN = "600"  # ended by a second signal, so no test waits for it


@dataclass
class Callers:
    """Each call is a connection of its own."""

    board: Board
    answered: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)

    async def call_until_refused(self) -> None:
        """Nobody is refused whose connection was established."""
        while not self.refused:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.board.port)
            except ConnectionError:
                self.refused += 1
                return
            try:
                writer.write(REQUEST)
                answer = await reader.read()
                if answer.startswith(b"HTTP/1.1 200"):
                    self.answered += 1
                else:
                    self.broken.append(repr(answer))
            except ConnectionError as error:
                self.broken.append(repr(error))
            finally:
                writer.close()


@asynccontextmanager
async def calling(board: Board, *, callers: int = 16) -> AsyncIterator[Callers]:
    """Callers without a pause; the block has to end the server."""
    record = Callers(board)
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(record.call_until_refused())
        await eventually(lambda: record.answered >= 100, seconds=120)
        yield record


async def ended(board: Board) -> int:
    return await asyncio.to_thread(board.process.wait, 120)


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_no_established_connection_is_reset_by_a_stop(start_board: StartBoard, processes: str) -> None:
    board = start_board(WORKERS=processes)
    async with calling(board) as callers:
        board.process.send_signal(signal.SIGTERM)
        assert await ended(board) == 0
    assert callers.broken == []


async def test_connections_in_the_accept_queue_are_served(start_board: StartBoard) -> None:
    """Connections that the kernel took while no process was able to accept them."""
    board = start_board(DRAIN_SECONDS="0")
    for pid in board.workers():
        os.kill(pid, signal.SIGSTOP)
    queued = [await asyncio.open_connection("127.0.0.1", board.port) for _ in range(50)]
    for _, writer in queued:
        writer.write(REQUEST)
    board.process.send_signal(signal.SIGTERM)
    await eventually(lambda: "server_draining" in board.log(), seconds=120)
    for pid in board.workers():
        os.kill(pid, signal.SIGCONT)
    answers = await asyncio.gather(*(reader.read() for reader, _ in queued))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert await ended(board) == 0


async def test_a_signal_to_all_processes_of_a_server_stops_it_like_one_to_the_parent(
    start_board: StartBoard,
) -> None:
    board = start_board(WORKERS="2")
    async with calling(board) as callers:
        os.killpg(board.process.pid, signal.SIGTERM)
        assert await ended(board) == 0
    assert callers.broken == []


async def test_a_draining_server_is_not_ready_and_closes_connections(start_board: StartBoard) -> None:
    board = start_board(DRAIN_SECONDS=LONG_DRAIN)
    async with board.visitor() as visitor:
        ready = await visitor.get("/ready")
        assert ready.status_code == 200
        assert "connection" not in ready.headers
        board.process.send_signal(signal.SIGTERM)
        ready = await _ready_says(visitor, 503)
        assert ready.json()["status"] == "unavailable"
        assert ready.headers["connection"] == "close"
        listed = await visitor.get("/api/v1/bugs")
        assert listed.status_code == 200
        assert listed.headers["connection"] == "close"
    answer = await board.exchange(b"GET /health HTTP/1.1\r\nHost: board\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    board.process.send_signal(signal.SIGTERM)
    assert await ended(board) == 0


async def _ready_says(visitor: httpx.AsyncClient, status: int) -> httpx.Response:
    async with asyncio.timeout(30):
        while (response := await visitor.get("/ready")).status_code != status:
            await asyncio.sleep(0.02)
    return response


async def test_sighup_stops_nothing(start_board: StartBoard) -> None:
    board = start_board(WORKERS="2")
    processes = board.workers()
    async with board.visitor() as visitor:
        for _ in range(20):
            os.killpg(board.process.pid, signal.SIGHUP)
            answers = await asyncio.gather(*(visitor.get("/api/v1/bugs") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
    assert board.workers() == processes
    assert board.process.poll() is None


def second(board: Board, *options: str) -> subprocess.CompletedProcess[str]:
    """Another server on the same port, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "bugrelay", "serve", *options],
        env=board.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_second_server_is_refused_with_one_line(board: Board) -> None:
    refused = second(board)
    assert refused.returncode == 1
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert json.loads(line)["message"] == (
        f"PORT: cannot listen on 127.0.0.1:{board.port}: Address already in use;"
        " `bugrelay serve --join` shares the port with a server that runs"
    )


def test_a_port_of_another_program_is_refused_to_who_joins_as_well(board: Board) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = {**board.environment, "PORT": str(port)}
        for options in ([], ["--join"]):
            refused = subprocess.run(
                [sys.executable, "-m", "bugrelay", "serve", *options],
                env=environment, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert refused.returncode == 1
            assert f"PORT: cannot listen on 127.0.0.1:{port}" in refused.stderr


@pytest.mark.parametrize(
    ("host", "line"), [("192.0.2.1", "HOST: cannot listen"), ("no host", "HOST no host is no address")]
)
def test_an_address_of_another_machine_is_reported_in_one_line(board: Board, host: str, line: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "bugrelay", "serve"],
        env={**board.environment, "HOST": host}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert line in refused.stderr


async def test_a_server_that_joins_takes_over_without_a_failed_request(
    start_board: StartBoard,
) -> None:
    old = start_board()
    async with calling(old) as callers:
        new = old.twin()
        new.launch("--join")
        await eventually(lambda: old.listeners() == 2, seconds=120)
        old.process.send_signal(signal.SIGTERM)
        assert await ended(old) == 0
        before = callers.answered
        await eventually(lambda: callers.answered > before + 100, seconds=120)
        assert not callers.refused
        new.process.send_signal(signal.SIGTERM)
        assert await ended(new) == 0
    assert callers.broken == []


async def test_a_server_starts_where_one_has_just_stopped(start_board: StartBoard) -> None:
    board = start_board()
    answer = await board.exchange(REQUEST)  # closed by the server, so TIME_WAIT is on its side
    assert answer.startswith(b"HTTP/1.1 200")
    board.process.send_signal(signal.SIGTERM)
    assert await ended(board) == 0
    board.start()


async def test_of_servers_that_start_at_once_one_has_the_port(board: Board) -> None:
    port = str(free_port())
    servers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bugrelay", "serve",
            env={**board.environment, "PORT": port, "DRAIN_SECONDS": "0"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]  # fmt: skip
    try:
        await eventually(lambda: [server.returncode for server in servers].count(1) == 2, seconds=60)
    finally:
        for server in servers:
            if server.returncode is None:
                server.terminate()
    assert sorted([await server.wait() for server in servers]) == [0, 1, 1]
