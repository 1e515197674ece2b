"""PostgreSQL away, hung or locked: answers in time, and all as before once it is back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import psycopg

from tests.factories import a_report
from tests.faults.conftest import StartBoard
from tests.faults.load import Outcome, Record, load, reading
from tests.faults.proxy import FaultProxy
from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import eventually
from tests.pace import PAUSE_SECONDS, patient

RESPONSE_SECONDS = 6
NORMAL_SECONDS = 5  # after it is back
WATCH_SECONDS = 1


async def new_bug(board: Board) -> str:
    async with board.visitor() as visitor:
        response = await visitor.post("/api/v1/bugs", json=a_report())
        assert response.status_code == 201, response.text
        return str(response.json()["bug"]["id"])


def report(visitor: httpx.AsyncClient) -> Any:
    return visitor.post("/api/v1/bugs", json=a_report())


def calls_of(bug_id: str) -> list[Any]:
    """Uncached reads, cached ones, and writes."""
    return [
        reading("/api/v1/bugs?page=2"),
        reading(f"/api/v1/bugs/{bug_id}"),
        reading(f"/api/v1/bugs/{bug_id}/history"),
        report,
    ]


def assert_refused_in_time(outcomes: list[Outcome]) -> None:
    """503 with Retry-After, never anything else but a success, and nobody waited too long."""
    assert {outcome.status for outcome in outcomes} <= {200, 201, 503}
    assert all(outcome.retry_after for outcome in outcomes if outcome.status == 503)
    assert max(outcome.seconds for outcome in outcomes) < patient(RESPONSE_SECONDS) + PAUSE_SECONDS


def refused_between(record: Record, away: float, back: float) -> bool:
    """Whether all were refused, once what was in the cache had run out."""
    found = [outcome for outcome in record.between(away + 1, back) if outcome.ended < back]
    return {outcome.status for outcome in found} == {503}


def are_well(outcomes: list[Outcome]) -> bool:
    good = [outcome for outcome in outcomes if outcome.status in (200, 201)]
    return len(outcomes) > 20 and len(good) >= 0.99 * len(outcomes)


async def well_again(record: Record, back: float) -> float:
    """The moment, in time after PostgreSQL is back, from which on all is well; others have begun since."""
    await eventually(lambda: are_well(record.between(time.monotonic() - WATCH_SECONDS)))
    since = time.monotonic()
    assert since - back < patient(NORMAL_SECONDS) + PAUSE_SECONDS
    await asyncio.sleep(WATCH_SECONDS)
    await eventually(lambda: len(record.between(since)) > 20)
    return since


async def test_a_restart_under_load_costs_503s_only_while_it_lasts(
    start_board: StartBoard, postgres: Postgres
) -> None:
    board = start_board()
    calls = calls_of(await new_bug(board))
    async with load(board, calls, clients=20) as record:
        await asyncio.sleep(1)
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(1)
        postgres.start()
        back = time.monotonic()
        well = await well_again(record, back)
    assert_refused_in_time(record.outcomes)
    assert any(outcome.status == 503 for outcome in record.between(0, back))
    assert are_well(record.between(well))


async def test_connections_that_broke_while_idle_are_replaced_unnoticed(
    start_board: StartBoard, postgres: Postgres
) -> None:
    board = start_board()
    calls = calls_of(await new_bug(board))
    async with load(board, calls, clients=20):
        await asyncio.sleep(0.5)
    postgres.stop()
    postgres.start()
    async with board.visitor() as visitor:
        for call in calls * 6:
            assert (await call(visitor)).status_code in (200, 201)


async def test_a_hung_server_is_503_in_time_and_all_is_normal_when_it_resumes(
    start_board: StartBoard, postgres: Postgres
) -> None:
    board = start_board()
    calls = calls_of(await new_bug(board))
    async with load(board, calls, clients=50) as record:
        await asyncio.sleep(1)
        postgres.freeze()
        frozen = time.monotonic()
        await asyncio.sleep(6)
        postgres.thaw()
        back = time.monotonic()
        well = await well_again(record, back)
    assert_refused_in_time(record.outcomes)
    assert refused_between(record, frozen, back)
    assert are_well(record.between(well))


async def test_a_network_that_swallows_everything_is_like_a_hung_server(
    start_board: StartBoard, postgres: Postgres
) -> None:
    async with FaultProxy(postgres.socket) as proxy:
        board = await asyncio.to_thread(start_board, DATABASE_URL=postgres.url_through(proxy.port))
        calls = calls_of(await new_bug(board))
        async with load(board, calls, clients=20) as record:
            await asyncio.sleep(1)
            proxy.set_mode("hang")
            cut = time.monotonic()
            await asyncio.sleep(6)
            proxy.set_mode("pass")
            back = time.monotonic()
            well = await well_again(record, back)
        board.remove()  # Before the proxy, which waits for its connections.
    assert_refused_in_time(record.outcomes)
    assert refused_between(record, cut, back)
    assert are_well(record.between(well))


async def test_connections_that_are_reset_are_replaced(start_board: StartBoard, postgres: Postgres) -> None:
    async with FaultProxy(postgres.socket) as proxy:
        board = await asyncio.to_thread(start_board, DATABASE_URL=postgres.url_through(proxy.port))
        calls = calls_of(await new_bug(board))
        async with board.visitor() as visitor:
            for _ in range(3):
                proxy.set_mode("reset")
                assert {(await call(visitor)).status_code for call in calls} <= {200, 503}
                proxy.set_mode("pass")
                await asyncio.sleep(0.1)
                assert {(await call(visitor)).status_code for call in calls} <= {200, 201}
        board.remove()


async def test_a_locked_table_starves_no_other_route(
    start_board: StartBoard, rows: psycopg.Connection[Any]
) -> None:
    board = start_board()
    bug_id = await new_bug(board)
    blocked = [reading(f"/api/v1/bugs/{bug_id}"), reading(f"/api/v1/bugs/{bug_id}/comments")]
    async with load(board, blocked, clients=40) as record, board.visitor() as visitor:
        with rows.transaction():
            rows.execute("LOCK TABLE comments")
            await asyncio.sleep(1)
            for page in range(2, 12):
                began = time.monotonic()
                assert (await visitor.get(f"/api/v1/bugs?page={page}")).status_code == 200
                assert time.monotonic() - began < patient(1.8)  # a lock is waited for two seconds
                assert (await visitor.post("/api/v1/bugs", json=a_report())).status_code == 201
            async with asyncio.timeout(30):
                while not any(outcome.status == 503 for outcome in record.outcomes):
                    await asyncio.sleep(0.1)
        freed = time.monotonic()
        await asyncio.sleep(2)
    assert_refused_in_time(record.outcomes)
    assert {outcome.status for outcome in record.between(freed + 1)} == {200}


async def test_an_outage_is_in_ready_within_two_seconds(start_board: StartBoard, postgres: Postgres) -> None:
    board = start_board()
    async with board.visitor() as visitor:
        assert (await visitor.get("/ready")).json()["checks"]["postgres"] == "ok"
        postgres.freeze()
        began = time.monotonic()
        answer = await visitor.get("/ready")
        health = await visitor.get("/health")
        seconds = time.monotonic() - began
        postgres.thaw()
        assert (answer.status_code, health.status_code) == (503, 200)
        assert answer.json()["checks"]["postgres"] == "down"
        assert seconds < patient(2.5) + PAUSE_SECONDS
        assert (await visitor.get("/ready")).json()["checks"]["postgres"] == "ok"
