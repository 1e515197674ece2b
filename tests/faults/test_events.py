"""Servers and workers killed at random moments under writes: no stream has a gap, each event has its effects once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from bugrelay.embedded.processes import spawn, stop
from tests.factories import Person, a_report, register
from tests.faults.conftest import StartBoard
from tests.faults.noting_worker import TABLE
from tests.faults.servers import Board
from tests.infra.redis.server import eventually

ROOT = Path(__file__).parents[2]
WRITERS = 4
WRITES_A_ROUND = 30  # at most, before the next kill

Rows = psycopg.Connection[Any]
Numbers = dict[UUID, list[int]]


class NotingWorker:
    """See `noting_worker`; it may be killed and started again."""

    def __init__(self, board: Board, name: str) -> None:
        self._environment = board.environment
        self._name = name
        self._log = board.home / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = spawn(
                [sys.executable, "-m", "tests.faults.noting_worker", self._name],
                death_signal=signal.SIGKILL,
                env={**self._environment, "PYTHONPATH": str(ROOT)},
                log=log,
            )

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def remove(self) -> None:
        if self._process is not None:
            stop(self._process, signal.SIGKILL, seconds=1)


class Writing:
    """People who report, comment and vote without a pause, and the ids that they were given with a 2xx."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.acknowledged: set[str] = set()

    async def until_gone(self, person: Person) -> None:
        """Write until the server is gone."""
        async with self._board.visitor(headers=person.headers) as visitor:
            try:
                while True:
                    bug = await self._write(visitor, "bugs", "bug", a_report())
                    for _ in range(3):
                        await self._write(
                            visitor, f"bugs/{bug}/comments", "comment", {"content": "The same here."}
                        )
                    await visitor.post(f"/api/v1/bugs/{bug}/vote")
            except httpx.TransportError:
                return

    async def _write(self, visitor: httpx.AsyncClient, path: str, kind: str, body: dict[str, Any]) -> str:
        response = await visitor.post(f"/api/v1/{path}", json=body)
        assert response.status_code == 201, response.text
        made: str = response.json()[kind]["id"]
        self.acknowledged.add(made)
        return made

    async def round(self, people: list[Person], *, writes: int, end: Callable[[], None]) -> None:
        """Let people write, and end it after so many writes."""
        before = len(self.acknowledged)
        async with asyncio.TaskGroup() as group:
            for person in people:
                group.create_task(self.until_gone(person))
            await eventually(lambda: len(self.acknowledged) >= before + writes, seconds=60)
            await asyncio.to_thread(end)


def numbers(rows: Rows, query: str) -> Numbers:
    found: Numbers = {}
    for stream, seq in rows.execute(query).fetchall():  # type: ignore[arg-type]
        found.setdefault(stream, []).append(seq)
    return found


def ends(rows: Rows) -> dict[UUID, int]:
    return dict(rows.execute("SELECT stream, last_seq FROM event_streams").fetchall())


@pytest.fixture
def consumer(rows: Rows) -> Iterator[str]:
    """The name of a consumer that nobody has seen, and of the table of its notes."""
    name = f"notes_{random.randrange(10**9)}"
    rows.execute(TABLE.format(name))  # type: ignore[arg-type]
    yield name
    rows.execute("DELETE FROM event_consumers WHERE name = %s", (name,))
    rows.execute("DELETE FROM event_cursors WHERE consumer = %s", (name,))
    rows.execute(f"DROP TABLE {name}")  # type: ignore[arg-type]


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_kills_leave_no_gap_and_every_event_has_its_effects_once_and_in_order(
    start_board: StartBoard, rows: Rows, consumer: str, rounds: int
) -> None:
    board = start_board()
    chance = random.Random(rounds)
    async with board.visitor() as visitor:
        people = [await register(visitor, f"writer-{rounds}-{number}") for number in range(WRITERS)]
    before = ends(rows)
    worker = NotingWorker(board, consumer)
    worker.start()
    await eventually(
        lambda: (
            rows.execute("SELECT FROM event_consumers WHERE name = %s", (consumer,)).fetchone() is not None
        ),
        seconds=60,
    )
    writing = Writing(board)
    try:
        for _ in range(rounds):
            if chance.random() < 0.7:
                await asyncio.sleep(chance.random() / 10)
                worker.kill()
                worker.start()
            await writing.round(people, writes=chance.randint(1, WRITES_A_ROUND), end=board.kill)
            await asyncio.to_thread(board.start)
        worker.kill()
        worker.start()
        await every_event_is_noted(rows, consumer, before)
    finally:
        worker.remove()
    told = rows.execute(
        "SELECT coalesce(data ->> 'comment_id', bug_id::text) FROM events"
        " WHERE type IN ('bug.created', 'comment.created')"
    ).fetchall()
    assert writing.acknowledged <= {one for (one,) in told}


async def every_event_is_noted(rows: Rows, consumer: str, before: dict[UUID, int]) -> None:
    """No stream has a gap, and what was written since `before` was noted once, in its order."""

    def notes() -> Numbers:
        return numbers(rows, f"SELECT stream, seq FROM {consumer} ORDER BY no")

    expected = {
        stream: list(range(before.get(stream, 0) + 1, last + 1))
        for stream, last in ends(rows).items()
        if last > before.get(stream, 0)
    }
    await eventually(
        lambda: (
            {stream: len(noted) for stream, noted in notes().items()}
            == {stream: len(wanted) for stream, wanted in expected.items()}
        ),
        seconds=60,
    )
    assert notes() == expected
    dense = {stream: list(range(1, last + 1)) for stream, last in ends(rows).items()}
    assert numbers(rows, "SELECT stream, seq FROM events ORDER BY stream, seq") == dense
