"""An import of ten thousand bugs while similar bugs are asked for, folded, killed and edited: nothing stale, nothing missing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.embedded.processes import spawn
from tests.api.v1.moderation.acts import Moderator
from tests.domain.importing.conftest import a_line, joined
from tests.factories import Person, make_admin, register, report
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import Valkey, eventually

Rows = psycopg.Connection[Any]

BUGS = 10_000
ACTORS = 3  # who edit, merge and remove, each their own bugs
TWINS = 20  # that nobody changes
PATIENCE_SECONDS = 400
FOLDS = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%similar_fold%' AND pid <> pg_backend_pid()"
PENDING = "SELECT FROM similar_pending LIMIT 1"


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.remove()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    valkey = Valkey()
    valkey.start()
    yield valkey
    valkey.remove()


@pytest.fixture
def rows(own_postgres: Postgres) -> Iterator[Rows]:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        yield connection


class Workers:
    """Two workers, which can be killed and started again."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._processes: list[subprocess.Popen[bytes]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.start()
        try:
            yield
        finally:
            self.kill()

    def start(self) -> None:
        for number in range(2):
            with (self._board.home / f"worker{number}.log").open("ab") as log:
                argv = [sys.executable, "-m", "bugrelay", "worker"]
                self._processes.append(
                    spawn(argv, death_signal=signal.SIGKILL, env=self._board.environment, log=log)
                )

    def kill(self) -> None:
        """kill -9, both at once: one of them is the one that folds."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes.clear()


class Visitor:
    """Asks for similar bugs; every answer has to be one."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.asked = 0

    async def similar(self, title: str) -> dict[str, dict[str, Any]]:
        """What is found, by the ids of the bugs that are shown, best first."""
        response = await self.client.post("/api/v1/bugs/similar", json={"title": title, "limit": 20})
        assert response.status_code == 200, (response.status_code, response.text)
        self.asked += 1
        return {one["bug"]["id"]: one for one in response.json()["similar"]}

    async def first(self, title: str) -> str | None:
        return next(iter(await self.similar(title)), None)


def as_process(board: Board, *arguments: str) -> subprocess.Popen[bytes]:
    return spawn(
        [sys.executable, "-m", "bugrelay", *arguments],
        death_signal=signal.SIGKILL,
        env=board.environment,
        log=(board.home / f"{arguments[0]}.log").open("wb"),
    )


async def edits_merges_and_removes(
    visitor: Visitor, person: Person, moderator: Moderator, *, actor: int, done: Callable[[], bool]
) -> dict[str, tuple[str, str]]:
    """One life of a bug after the other; each step shows in the next answer.

    Gives the words of the merged ones, with their ids and their survivors': of a long queue they are found at its end.
    """
    merged: dict[str, tuple[str, str]] = {}
    lives = 0
    while not done():
        first, second, third = (f"{word}x{actor}x{lives}" for word in ("zarquon", "vogon", "magrathea"))
        bug, other = [await report(visitor.client, person, title=title) for title in (first, second)]
        path = f"/api/v1/bugs/{bug['id']}"
        assert await visitor.first(first) == bug["id"]
        edited = await visitor.client.patch(path, json={"title": third}, headers=person.headers)
        assert edited.status_code == 200, edited.text
        assert await visitor.first(third) == bug["id"]
        assert bug["id"] not in await visitor.similar(first)
        await moderator.merge(other["id"], bug["id"])
        merged[second] = (other["id"], bug["id"])
        await moderator.remove(bug["id"])
        assert await visitor.similar(third) == {}
        await moderator.restore(bug["id"])
        assert await visitor.first(third) == bug["id"]
        lives += 1
    return merged


async def asks_for_twins(visitor: Visitor, twins: dict[str, str], *, done: Callable[[], bool]) -> None:
    while not done():
        for word, bug_id in twins.items():
            assert await visitor.first(f"Again a {word} in the window") == bug_id


async def breaks_things(
    rows: Rows, workers: Workers, valkey: Valkey, *, importing: Callable[[], bool]
) -> int:
    """Kill the workers while one folds, and Redis, again and again while the import runs. Gives how often one folded."""
    kills = 0
    while importing():
        await eventually(
            lambda: rows.execute(FOLDS).rowcount > 0 or not importing(), seconds=PATIENCE_SECONDS
        )
        kills += rows.execute(FOLDS).rowcount > 0
        workers.kill()
        valkey.kill()
        await asyncio.sleep(1)
        workers.start()
        valkey.start()
        await asyncio.sleep(2)
    return kills


@pytest.mark.slow
async def test_an_import_of_ten_thousand_bugs_leaves_no_twin_stale_or_missing(
    own_postgres: Postgres,
    valkey: Valkey,
    rows: Rows,
    start_board: StartBoard,
    tmp_path: Path,
) -> None:
    board = start_board(DATABASE_URL=own_postgres.url, REDIS_URL=valkey.url)
    workers = Workers(board)
    lines = [
        a_line(external_id=f"t-{i}", title=f"Window w{i}x does not open the galaxy") for i in range(BUGS)
    ]
    file = tmp_path / "bugs.jsonl"
    file.write_bytes(joined(lines))
    async with board.visitor() as client, workers.running():
        visitor = Visitor(client)
        people = [await register(client, f"actor{number}") for number in range(ACTORS)]
        admin = await register(client, "moderator")
        make_admin(rows, admin)
        twins = {
            (word := f"flickering{number}x"): (await report(client, title=f"A {word} in the window"))["id"]
            for number in range(TWINS)
        }
        process = as_process(board, "import", str(file))

        def importing() -> bool:
            return process.poll() is None

        def folded() -> bool:
            return not importing() and rows.execute(PENDING).rowcount == 0

        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            actors = [
                group.create_task(
                    edits_merges_and_removes(
                        visitor, person, Moderator(client, admin), actor=number, done=lambda: not importing()
                    )
                )
                for number, person in enumerate(people)
            ]
            group.create_task(asks_for_twins(visitor, twins, done=folded))
            kills = group.create_task(breaks_things(rows, workers, valkey, importing=importing))
        assert process.returncode == 0
        for number in range(0, BUGS, 97):
            (first, *_) = (await visitor.similar(f"w{number}x window")).values()
            assert first["bug"]["title"] == lines[number]["title"]
        for merged in (actor.result() for actor in actors):
            assert merged
            for word, (bug_id, survivor_id) in merged.items():
                assert (await visitor.similar(word))[survivor_id]["via"]["id"] == bug_id
    check = as_process(board, "check")
    assert await asyncio.to_thread(check.wait) == 0, (board.home / "check.log").read_text()
    assert kills.result()
    for log in board.home.glob("worker*.log"):
        assert "Traceback" not in log.read_text()
