"""Redis away, hung or broken while the board is used: nobody notices, and it is in use again by itself."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from tests.factories import a_report
from tests.faults.conftest import StartBoard
from tests.faults.load import load, reading
from tests.faults.proxy import FaultProxy
from tests.faults.servers import Board
from tests.infra.redis.server import Valkey
from tests.pace import patient

# A call that waits for Redis does so for a quarter of a second; the machine may pause as well.
STALL_SECONDS = 3
BACK_SECONDS = 60


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One that the test breaks."""
    valkey = Valkey()
    valkey.start()
    yield valkey
    valkey.send_signal(signal.SIGCONT)
    valkey.remove()


async def in_use(board: Board) -> bool:
    """Whether two readings in a row are answered from the cache that only Redis holds."""
    async with board.visitor() as visitor:
        first, second = [await visitor.get("/api/v1/bugs") for _ in range(2)]
        ready = (await visitor.get("/ready")).json()
    assert first.status_code == second.status_code == 200
    return second.headers["x-cache"] == "HIT" and ready["checks"]["redis"] == "ok"


async def wait_until_in_use(board: Board) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while not await in_use(board):
            await asyncio.sleep(0.1)


async def test_killed_hung_and_restarted_without_one_error_or_stall(
    start_board: StartBoard, valkey: Valkey
) -> None:
    board = start_board(REDIS_URL=valkey.url, RATE_LIMIT_GENERAL="100000/minute")
    await wait_until_in_use(board)
    calls = [
        reading("/api/v1/bugs"),
        reading("/api/v1/bugs?page=2"),
        lambda visitor: visitor.post("/api/v1/bugs", json=a_report()),
    ]
    async with load(board, calls, clients=20) as record:
        await asyncio.sleep(0.5)
        valkey.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        assert not await in_use(board)
        valkey.send_signal(signal.SIGCONT)
        await wait_until_in_use(board)
        valkey.kill()
        await asyncio.sleep(1.5)
        assert not await in_use(board)
        valkey.start()
        await wait_until_in_use(board)
    assert {outcome.status for outcome in record.outcomes} <= {200, 201}
    by_time = sorted(outcome.seconds for outcome in record.outcomes)
    assert by_time[int(len(by_time) * 0.99)] < patient(STALL_SECONDS)


async def test_a_server_that_refuses_writes_is_as_good_as_none(
    start_board: StartBoard, valkey: Valkey
) -> None:
    board = start_board(REDIS_URL=valkey.url, RATE_LIMIT_GENERAL="100000/minute")
    for command in ("REPLICAOF 127.0.0.1 1", "FLUSHALL", "CONFIG SET maxmemory 1"):
        valkey.ask(command)
        async with board.visitor() as visitor:
            assert {(await visitor.get("/api/v1/bugs")).status_code for _ in range(10)} == {200}
        valkey.ask("REPLICAOF NO ONE")
    valkey.ask("CONFIG SET maxmemory 0")
    await wait_until_in_use(board)


async def test_a_slow_or_resetting_network_is_no_error(start_board: StartBoard, valkey: Valkey) -> None:
    async with FaultProxy(valkey.socket) as proxy:
        board = start_board(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0", RATE_LIMIT_GENERAL="100000/minute")
        async with board.visitor() as visitor:
            for mode in ("delay", "reset", "hang"):
                proxy.set_mode(mode, delay_seconds=1)  # type: ignore[arg-type]
                began = time.monotonic()
                assert {(await visitor.get("/api/v1/bugs")).status_code for _ in range(10)} == {200}
                assert time.monotonic() - began < patient(STALL_SECONDS)
        proxy.set_mode("pass")
        await wait_until_in_use(board)
        board.remove()


async def test_limits_hold_while_redis_hangs(start_board: StartBoard, valkey: Valkey) -> None:
    board = start_board(REDIS_URL=valkey.url, RATE_LIMIT_GENERAL="10/minute")
    valkey.send_signal(signal.SIGSTOP)
    async with board.visitor() as visitor:
        statuses = [(await visitor.get("/api/v1/config")).status_code for _ in range(30)]
    assert statuses.count(200) == 10
    assert statuses.count(429) == 20
