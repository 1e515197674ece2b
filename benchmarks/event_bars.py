"""Bars of the event log, in this process: reports, comments and votes with the log, and with it switched off."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.bars import Measured
from benchmarks.board import MARK, Board, opened_board, take_off
from benchmarks.generate import say
from benchmarks.home import Home
from benchmarks.write_bars import per_second
from bugrelay.infra.ids import new_id

WRITERS = 8
BUGS = 500
USERS = 500

Write = Callable[[Board], Awaitable[Any]]


async def measure(home: Home, rounds: int, seconds: float) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and the writes per second of each round."""
    take_off(home.url)
    say(f"writes with and without the event log, by {WRITERS} at once")
    try:
        bugs, users = _put_bugs(home.url)
        async with (
            opened_board(home.settings, connections=3 * WRITERS) as board,
            opened_board(home.settings, connections=3 * WRITERS, is_logged=False) as silent,
        ):
            rates = {
                key: await _both(home, (board, silent), write, rounds=rounds, seconds=seconds)
                for key, write in _writes(bugs, users).items()
            }
    finally:
        _alter_votes_log(home.url, "ENABLE")
        take_off(home.url)
    return {key: _ratio(*both) for key, both in rates.items()}, {
        f"{key} {how}": found
        for key, both in rates.items()
        for how, found in zip(("with", "without"), both, strict=True)
    }


def _writes(bugs: list[UUID], users: list[UUID]) -> dict[str, Write]:
    draw = random.Random(1)  # noqa: S311 - a mix, no secret

    async def report(board: Board) -> None:
        await board.report(
            title="A report of the benchmark",
            description="What it says does not matter here, but it has some words.",
            application_name=f"Benchmarked {draw.randrange(20)}",
            tags=["benchmark"],
        )

    async def comment(board: Board) -> None:
        await board.comment(draw.choice(bugs), draw.choice(users), "The same here, since the last release.")

    async def toggle(board: Board) -> None:
        await board.toggle_vote(draw.choice(bugs), draw.choice(users))

    return {"logged_create": report, "logged_comment": comment, "logged_votes": toggle}


async def _both(
    home: Home, boards: tuple[Board, Board], write: Write, *, rounds: int, seconds: float
) -> tuple[list[float], list[float]]:
    """Writes per second with and without the log, in turns; the order alternates as well."""
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, rounds):  # the first round warms up
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            with _without_votes_log(home.url) if side else _as_it_is():
                rate = await per_second(lambda: write(boards[side]), at_once=WRITERS, seconds=seconds)  # noqa: B023 - awaited here
            if number >= 0:
                rates[side].append(rate)
    return rates


def _ratio(logged: list[float], silent: list[float]) -> Measured:
    """The median of the ratios of the rounds: what slows the machine down for a while affects both sides of a round."""
    ratio = median(one / other for one, other in zip(logged, silent, strict=True))
    return Measured(ratio, note=f"{median(logged):.0f} ÷ {median(silent):.0f} a second")


def _put_bugs(url: str) -> tuple[list[UUID], list[UUID]]:
    """Bugs without a company, to comment on and to vote for, and users to do it."""
    bugs = [new_id() for _ in range(BUGS)]
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO bugs (id, title, application_id)"
            " SELECT bug_id, 'Benchmarked bug', (SELECT id FROM applications LIMIT 1) FROM unnest(%s::uuid[]) bug_id",
            (bugs,),
        )
        connection.execute(
            "INSERT INTO bug_texts (bug_id, description, description_html, app_version)"
            " SELECT unnest(%s::uuid[]), 'Benchmarked.', '', %s",
            (bugs, MARK),
        )
        rows = connection.execute("SELECT id FROM users ORDER BY id LIMIT %s", (USERS,)).fetchall()
    return bugs, [row[0] for row in rows]


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _without_votes_log(url: str) -> Iterator[None]:
    """Votes leave no row for the job that writes their events."""
    _alter_votes_log(url, "DISABLE")
    try:
        yield
    finally:
        _alter_votes_log(url, "ENABLE")


def _alter_votes_log(url: str, change: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"ALTER TABLE bugs {change} TRIGGER votes_log")
