"""The bar of exact totals: during writes by six writers, every total is compared with count(*) in the same snapshot."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any
from uuid import UUID

import psycopg

from benchmarks import sql
from benchmarks.bars import Measured
from benchmarks.board import MARK, Board, HeldSnapshot, opened_board, take_off
from benchmarks.generate import say
from benchmarks.home import Home
from bugrelay.infra.ids import new_id

WRITERS = 6
CHECKS = 200
MAX_SECONDS = 180.0
PAUSE_SECONDS = 0.005  # after each write: the checks need some of the two cores
SAMPLE = 500

_SAMPLE = "SELECT bug_id FROM bug_search WHERE document @@ websearch_to_tsquery('bugrelay', %s) LIMIT %s"
_COPY_BUG = """
INSERT INTO bugs (id, title, status, priority, tags, application_id, assigned_company_id, reporter_id)
SELECT %s, title, status, priority, tags, application_id, assigned_company_id, reporter_id FROM bugs WHERE id = %s
"""
_COPY_TEXT = """
INSERT INTO bug_texts (bug_id, description, description_html, app_version)
SELECT %s, description, description_html, %s FROM bug_texts WHERE bug_id = %s
"""


async def measure(home: Home) -> Measured:
    """The share of checks in which the total was exact."""
    say(f"totals under {WRITERS} writers")
    stop = asyncio.Event()
    sample = await _sample(home)
    writers = [asyncio.create_task(_write(home.url, sample, stop, seed=i)) for i in range(WRITERS)]
    try:
        async with (
            opened_board(home.settings) as board,
            await psycopg.AsyncConnection.connect(home.url) as connection,
        ):
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            exact, checks = await _check(home, board, connection)
    finally:
        stop.set()
        writes = sum(await asyncio.gather(*writers))
        take_off(home.url)
    return Measured(100 * exact / checks, note=f"{exact} of {checks} checks, {writes:,} writes")


async def _sample(home: Home) -> list[UUID]:
    """Bugs that the searches below find: copies of them change the totals."""
    async with await psycopg.AsyncConnection.connect(home.url) as connection:
        cursor = await connection.execute(_SAMPLE, (home.words("common")[0], SAMPLE))
        return [row[0] for row in await cursor.fetchall()]


def _queries(home: Home) -> list[dict[str, Any]]:
    common, medium = home.words("common"), home.words("medium")
    tags = home.request_words["tags"]
    return [
        {"search": common[0]},
        {"search": f"{common[0]} {common[1]}"},
        {"search": medium[0]},
        {"search": common[0], "status": "open", "priority": "high"},
        {"status": "open", "priority": "high"},
        {"status": "reviewing", "tags": tags[0]},
        {"application": home.request_words["applications"]["broad"]},
        {},
    ]


async def _check(home: Home, board: Board, connection: psycopg.AsyncConnection[Any]) -> tuple[int, int]:
    """How many totals were exact, and how many were checked."""
    queries = _queries(home)
    reader = HeldSnapshot(connection)
    deadline = time.monotonic() + MAX_SECONDS
    exact = checks = 0
    while checks < CHECKS and time.monotonic() < deadline:
        query = queries[checks % len(queries)]
        async with connection.transaction():
            page = await board.page(reader, **query)
            exact += page.total == await sql.counted(connection, query)
        checks += 1
    return exact, checks


async def _write(url: str, sample: list[UUID], stop: asyncio.Event, *, seed: int) -> int:
    """Until stopped: add copies of bugs, change their status and remove them; one addition in ten is rolled back."""
    draw = random.Random(seed)  # noqa: S311 - a mix, no secret
    mine: list[UUID] = []
    writes = 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            kind = draw.random()
            if kind < 0.5 or not mine:  # noqa: PLR2004 - half of the writes
                bug_id = new_id()
                async with connection.transaction():
                    await connection.execute(_COPY_BUG, (bug_id, draw.choice(sample)))
                    await connection.execute(_COPY_TEXT, (bug_id, MARK, draw.choice(sample)))
                    mine.append(bug_id)
                    if draw.random() < 0.1:  # noqa: PLR2004 - one of ten
                        mine.pop()
                        raise psycopg.Rollback
            elif kind < 0.9:  # noqa: PLR2004 - four of ten
                status = draw.choice(("open", "reviewing", "fixed"))
                await connection.execute(
                    "UPDATE bugs SET status = %s WHERE id = %s", (status, draw.choice(mine))
                )
            else:
                bug_id = mine.pop(draw.randrange(len(mine)))
                await connection.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bug_id,))
            writes += 1
            await asyncio.sleep(PAUSE_SECONDS)
    return writes
