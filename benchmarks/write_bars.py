"""Bars of writes, in this process: votes for one hot bug, drift of its counters, and what search costs a report."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.bars import Measured
from benchmarks.board import MARK, Board, opened_board, take_off
from benchmarks.generate import say
from benchmarks.home import Home
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.ids import new_id

CONNECTIONS = 32  # of the voters
REPORTERS = 8
USERS = 2000

Connection = psycopg.AsyncConnection[Any]
Toggle = Callable[[UUID], Awaitable[None]]


async def measure(home: Home, rounds: int, seconds: float) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and the writes per second of every round."""
    take_off(home.url)
    enable_search(home.url)
    try:
        # Each kind of call gets a third of the connections; PostgreSQL allows a hundred.
        async with opened_board(home.settings, connections=3 * CONNECTIONS) as board:
            measured, raw = await _votes(home, board, rounds, seconds)
            created, raw_creates = await _creates(home, board, rounds, seconds)
    finally:
        enable_search(home.url)
        take_off(home.url)
    return {**measured, "create": created}, {**raw, **raw_creates}


async def per_second(write: Callable[[], Awaitable[Any]], *, at_once: int, seconds: float) -> float:
    """How often `write` succeeds per second when this many callers repeat it."""
    started = time.perf_counter()
    done = given_up = 0

    async def repeat() -> None:
        nonlocal done, given_up
        while time.perf_counter() - started < seconds:
            try:
                await write()
            except ServiceUnavailable:
                given_up += 1
            else:
                done += 1

    await asyncio.gather(*(repeat() for _ in range(at_once)))
    if given_up:
        say(f"{given_up} writes of {given_up + done} failed")
    return done / (time.perf_counter() - started)


# --- votes ------------------------------------------------------------------------------------------------------------


async def _votes(
    home: Home, board: Board, rounds: int, seconds: float
) -> tuple[dict[str, Measured], dict[str, Any]]:
    """Toggles for one bug by many users: the service, and a bare counter in a row."""
    say(f"votes on one bug over {CONNECTIONS} connections")
    bug_id, users = _hot_bug(home.url)
    draw = random.Random(1)  # noqa: S311 - a mix, no secret

    async def ours() -> None:
        await board.toggle_vote(bug_id, draw.choice(users))

    async with _PlainCounter(home.url) as plain:

        async def bare() -> None:
            await plain.toggle(draw.choice(users))

        rates: dict[str, list[float]] = {"toggles": [], "plain toggles": []}
        await per_second(ours, at_once=CONNECTIONS, seconds=seconds / 2)
        for _ in range(rounds):
            rates["toggles"].append(await per_second(ours, at_once=CONNECTIONS, seconds=seconds))
            rates["plain toggles"].append(await per_second(bare, at_once=CONNECTIONS, seconds=seconds))
    mine, other = median(rates["toggles"]), median(rates["plain toggles"])
    measured = {
        "hot_bug": Measured(mine / other, note=f"{mine:.0f} ÷ {other:.0f} a second"),
        "drift": Measured(_drift(home.url, bug_id)),
    }
    return measured, rates


def _hot_bug(url: str) -> tuple[UUID, list[UUID]]:
    """A bug without votes, and users to vote for it."""
    bug_id = new_id()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO bugs (id, title, application_id) SELECT %s, 'Hot bug', id FROM applications LIMIT 1",
            (bug_id,),
        )
        connection.execute(
            "INSERT INTO bug_texts (bug_id, description, description_html, app_version) VALUES (%s, 'Hot.', '', %s)",
            (bug_id, MARK),
        )
        rows = connection.execute("SELECT id FROM users ORDER BY id LIMIT %s", (USERS,)).fetchall()
    return bug_id, [row[0] for row in rows]


def _drift(url: str, bug_id: UUID) -> float:
    """The difference between the counters of a bug and its votes."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT abs(b.vote_count - count(v.*)) + abs(b.recent_vote_count - count(v.*) FILTER (WHERE v.is_recent))"
            " FROM bugs b LEFT JOIN bug_votes v ON v.bug_id = b.id WHERE b.id = %s GROUP BY b.id",
            (bug_id,),
        ).fetchone()
    assert row is not None  # noqa: S101 - the bug is ours
    return float(row[0])


class _PlainCounter:
    """The minimum that counts exactly: a table of votes, and a row with only the count, updated under its lock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()

    async def __aenter__(self) -> _PlainCounter:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("DROP SCHEMA IF EXISTS bench CASCADE")
            await connection.execute("CREATE SCHEMA bench")
            await connection.execute(
                "CREATE TABLE bench.votes (bug int, user_id uuid, PRIMARY KEY (bug, user_id))"
            )
            await connection.execute("CREATE TABLE bench.bugs (bug int PRIMARY KEY, vote_count int NOT NULL)")
            await connection.execute("INSERT INTO bench.bugs VALUES (1, 0)")
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await psycopg.AsyncConnection.connect(self._url))
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self._idle.empty():
            await self._idle.get_nowait().close()
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("DROP SCHEMA bench CASCADE")

    async def toggle(self, user_id: UUID) -> None:
        connection = await self._idle.get()
        try:
            cursor = await connection.execute(
                "DELETE FROM bench.votes WHERE bug = 1 AND user_id = %s", (user_id,), prepare=True
            )
            by = -cursor.rowcount
            if by == 0:
                cursor = await connection.execute(
                    "INSERT INTO bench.votes VALUES (1, %s) ON CONFLICT DO NOTHING", (user_id,), prepare=True
                )
                by = cursor.rowcount
            await connection.execute(
                "UPDATE bench.bugs SET vote_count = vote_count + %s WHERE bug = 1", (by,), prepare=True
            )
            await connection.commit()
        finally:
            self._idle.put_nowait(connection)


# --- reports ----------------------------------------------------------------------------------------------------------

_SEARCH_TRIGGERS = """
SELECT DISTINCT t.tgrelid::regclass::text, t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND p.proname LIKE 'search%' AND t.tgrelid IN ('bugs'::regclass, 'bug_texts'::regclass)
"""
TEXTS = """
SELECT b.title, t.description, a.name, b.tags FROM bugs b JOIN bug_texts t ON t.bug_id = b.id
JOIN applications a ON a.id = b.application_id WHERE length(t.description) >= 10 ORDER BY b.created_at DESC LIMIT 500
"""


async def report_rates(
    home: Home,
    board: Board,
    rounds: int,
    seconds: float,
    *,
    without: Callable[[str], AbstractContextManager[None]],
) -> tuple[list[float], list[float]]:
    """Reports per second in each round: complete, and with a part of their work switched off.

    Args:
        without: Switches that part off for a block, in the database of this URL.
    """
    with psycopg.connect(home.url) as connection:
        texts = itertools.cycle(connection.execute(TEXTS).fetchall())

    async def report() -> None:
        title, description, application, tags = next(texts)
        await board.report(title=title, description=description, application_name=application, tags=tags)

    whole: list[float] = []
    rest: list[float] = []
    await per_second(report, at_once=REPORTERS, seconds=seconds / 2)
    for _ in range(rounds):
        whole.append(await per_second(report, at_once=REPORTERS, seconds=seconds))
        with without(home.url):
            rest.append(await per_second(report, at_once=REPORTERS, seconds=seconds))
    return whole, rest


async def _creates(home: Home, board: Board, rounds: int, seconds: float) -> tuple[Measured, dict[str, Any]]:
    """Reports with the search document, its index and its log, and without the triggers that write them."""
    say(f"reports by {REPORTERS} at once")
    whole, rest = await report_rates(home, board, rounds, seconds, without=_without_search)
    mine, other = median(whole), median(rest)
    rates = {"reports": whole, "reports without search": rest}
    return Measured(mine / other, note=f"{mine:.0f} ÷ {other:.0f} a second"), rates


@contextmanager
def _without_search(url: str) -> Iterator[None]:
    """No search documents are written; bugs without one are deleted before the triggers are switched on."""
    _alter_search_triggers(url, "DISABLE")
    try:
        yield
    finally:
        take_off(url)
        enable_search(url)


def enable_search(url: str) -> None:
    """Switch the triggers on, which a killed run may have left off."""
    _alter_search_triggers(url, "ENABLE")


def _alter_search_triggers(url: str, change: str) -> None:
    with psycopg.connect(url) as connection:
        for table, trigger in connection.execute(_SEARCH_TRIGGERS).fetchall():
            connection.execute(f"ALTER TABLE {table} {change} TRIGGER {trigger}")
