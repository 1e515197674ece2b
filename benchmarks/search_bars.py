"""Bars of lists and searches, in this process: BugRelay's functions compared with hand-written SQL."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import msgspec
import psycopg

from benchmarks import sql
from benchmarks.bars import Measured
from benchmarks.board import Board, opened_board
from benchmarks.client import percentile
from benchmarks.generate import say
from benchmarks.home import Home
from bugrelay.errors import ServiceUnavailable
from bugrelay.http.responses import to_json

Connection = psycopg.AsyncConnection[Any]
WORDS = 5  # of each kind
OURS_A_ROUND = 5  # our calls for each call of the naive query
FLATNESS_CALLS = 60  # for each word
DEEP_CALLS = 9
CPU_CALLS = 100
MAX_NAIVE_SECONDS = 120.0  # on a large board the naive query takes seconds; then rounds are skipped


@dataclass(frozen=True)
class WordTimes:
    """One word: the number of bugs that have it, and medians in milliseconds."""

    kind: str
    word: str
    hits: int
    naive_ms: float
    ours_ms: float


async def measure(home: Home, rounds: int) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and the times by word."""
    async with (
        opened_board(home.settings) as board,
        await psycopg.AsyncConnection.connect(home.url, autocommit=True) as connection,
    ):
        words = await _words(home, board, connection, rounds)
        common = [word for word in words if word.kind == "common"]
        measured = {
            "common_search": Measured(median(word.naive_ms / word.ours_ms for word in common)),
            "flatness": await _flatness(home, board),
            "top_20": await _top_20(home, board, connection),
            "deep_page": await _deep_page(home, board),
            "page_cpu": await _page_cpu(board, connection, rounds),
        }
    return measured, {"words": [vars(word) for word in words]}


async def _seconds(call: Callable[[], Awaitable[Any]]) -> float:
    """The duration of a call; if BugRelay gave up, the time until then."""
    started = time.perf_counter()
    try:
        await call()
    except ServiceUnavailable:
        say(f"given up after {time.perf_counter() - started:.1f} s")
    return time.perf_counter() - started


async def _words(home: Home, board: Board, connection: Connection, rounds: int) -> list[WordTimes]:
    """Search by relevance with an exact total, repeatedly: the naive query and ours in turns."""
    times = []
    began = time.monotonic()
    for kind in ("rare", "medium", "mid", "common"):
        say(f"searches for {kind} words")
        for word in home.words(kind)[:WORDS]:
            hits = await sql.counted(connection, {"search": word})
            await _seconds(lambda word=word: board.page(search=word))  # type: ignore[misc]
            await sql.naive_search(connection, word)
            naive: list[float] = []
            ours: list[float] = []
            for _ in range(rounds):
                if not naive or time.monotonic() - began < MAX_NAIVE_SECONDS:
                    naive.append(await _seconds(lambda word=word: sql.naive_search(connection, word)))  # type: ignore[misc]
                for _ in range(OURS_A_ROUND):
                    ours.append(await _seconds(lambda word=word: board.page(search=word)))  # type: ignore[misc] # noqa: PERF401
            times.append(WordTimes(kind, word, hits, median(naive) * 1000, median(ours) * 1000))
    return times


async def _flatness(home: Home, board: Board) -> Measured:
    """p95 of searches for common words divided by that of medium ones, in turns."""
    latencies: dict[str, list[float]] = {"common": [], "medium": []}
    for _ in range(FLATNESS_CALLS):
        for kind, found in latencies.items():
            for word in home.words(kind)[:WORDS]:
                found.append(await _seconds(lambda word=word: board.page(search=word)))  # type: ignore[misc]
    p95 = {kind: percentile(sorted(found), 95) * 1000 for kind, found in latencies.items()}
    return Measured(p95["common"] / p95["medium"], note=f"{p95['common']:.1f} ms ÷ {p95['medium']:.1f} ms")


async def _top_20(home: Home, board: Board, connection: Connection) -> Measured:
    """How many first pages by relevance are identical to those of a full additive ranking, in the same order."""
    searches: list[dict[str, Any]] = [{"search": text} for text in _texts(home)]
    searches += [{"search": text, "status": "open"} for text in home.words("common")[:2]]
    same = 0
    for query in searches:
        truth = await sql.fully_ranked(connection, **query)
        with suppress(ServiceUnavailable):  # which is not identical
            same += [bug.id for bug in (await board.page(**query)).bugs] == truth
    return Measured(100 * same / len(searches), note=f"{same} of {len(searches)}")


def _texts(home: Home) -> list[str]:
    common, mid, medium = home.words("common"), home.words("mid"), home.words("medium")
    pairs = [f"{first} {second}" for first, second in pairwise(common)]
    return [*common, *mid[:3], *medium[:3], *pairs, f"{common[0]} {mid[0]}", f"{common[1]} {medium[0]}"]


async def _deep_page(home: Home, board: Board) -> Measured:
    """The page in the middle of the whole list divided by its first page; with a million bugs that is page 25,001."""
    deep = home.bugs // 40 + 1
    times: dict[int, list[float]] = {1: [], deep: []}
    for _ in range(DEEP_CALLS):
        for page, found in times.items():
            found.append(await _seconds(lambda page=page: board.page(page=page)))  # type: ignore[misc]
    first_ms, deep_ms = median(times[1]) * 1000, median(times[deep]) * 1000
    return Measured(deep_ms / first_ms, note=f"page {deep:,}: {deep_ms:.1f} ms ÷ {first_ms:.1f} ms")


async def _page_cpu(board: Board, connection: Connection, rounds: int) -> Measured:
    """CPU time of this process for one page with its total, divided by that of bare psycopg; both return JSON."""
    application = await sql.an_application(connection)

    async def ours() -> bytes:
        page = await board.page(application_id=application)
        return to_json(page.bugs)

    async def raw() -> bytes:
        _, bugs = await sql.raw_page(connection, application)
        return to_json(bugs)

    assert _ids(await ours()) == _ids(await raw())  # noqa: S101 - the same page, or the comparison is none
    spent: dict[Callable[[], Awaitable[bytes]], list[float]] = {ours: [], raw: []}
    for _ in range(rounds):
        for way, found in spent.items():
            began = time.process_time()
            for _ in range(CPU_CALLS):
                await way()
            found.append((time.process_time() - began) / CPU_CALLS)
    mine, bare = median(spent[ours]) * 1000, median(spent[raw]) * 1000
    return Measured(mine / bare, note=f"{mine:.2f} ms ÷ {bare:.2f} ms")


def _ids(page: bytes) -> list[str]:
    return [bug["id"] for bug in msgspec.json.decode(page)]
