"""More than a process can do: it refuses the rest and goes on with what it has."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from tests.factories import a_report
from tests.faults.conftest import StartBoard
from tests.faults.load import load, reading


async def test_what_is_too_much_is_refused_and_the_rest_is_served(start_board: StartBoard) -> None:
    board = start_board(MAX_REQUESTS_IN_FLIGHT="5")
    calls = [reading(f"/api/v1/bugs?page={page}&limit=100") for page in range(2, 30)]
    async with load(board, calls, clients=60) as record, board.visitor() as visitor:
        await asyncio.sleep(1)
        assert (await visitor.get("/health")).status_code == 200
    refused = [outcome for outcome in record.outcomes if outcome.status == 503]
    assert refused
    assert all(outcome.retry_after for outcome in refused)
    assert {outcome.status for outcome in record.outcomes} == {200, 503}
    async with board.visitor() as visitor:
        assert (await visitor.get("/api/v1/bugs")).status_code == 200


async def test_slots_are_released_whatever_the_outcome_of_the_request(
    start_board: StartBoard, rows: psycopg.Connection[Any]
) -> None:
    """Refused, timed out, answered, left by their sender: afterwards as many fit in as before."""
    board = start_board(MAX_REQUESTS_IN_FLIGHT="10", DATABASE_POOL="9")
    async with board.visitor() as visitor:
        bug_id = (await visitor.post("/api/v1/bugs", json=a_report())).json()["bug"]["id"]
        path = f"/api/v1/bugs/{bug_id}/history"
        with rows.transaction():
            rows.execute("LOCK TABLE status_changes")
            blocked = [asyncio.create_task(visitor.get(path)) for _ in range(12)]
            await asyncio.sleep(0.5)
            for task in blocked[::2]:
                task.cancel()
            statuses = [task.result().status_code for task in (await asyncio.wait(blocked[1::2]))[0]]
        assert set(statuses) == {503}
        together = await asyncio.gather(*(visitor.get(path) for _ in range(10)))
        assert {response.status_code for response in together} == {200}
