"""Bars of similar bugs: the time of a query over HTTP, and what the index costs reports.

`python -m benchmarks.similar_bars [--size BUGS]` measures only these.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import uvloop

from benchmarks.bars import LARGE, Measured, table
from benchmarks.board import opened_board, take_off
from benchmarks.client import Request, drive
from benchmarks.generate import say
from benchmarks.home import Home, opened
from benchmarks.servers import Server, cpu_seconds, parent_of, serving
from benchmarks.write_bars import REPORTERS, report_rates

ASKED = 400  # bugs from all over the board, whose texts are the queries
WARM_SECONDS = 5.0
MAX_VACUUM_SECONDS = 300
FOLD_BATCH = 500  # the worker's batch size

_ASKED = """
SELECT b.id::text, b.title, t.description, a.name FROM bugs b JOIN bug_texts t ON t.bug_id = b.id
JOIN applications a ON a.id = b.application_id
WHERE b.id = ANY(ARRAY(SELECT id FROM bugs TABLESAMPLE SYSTEM (%s) REPEATABLE (7) ORDER BY id)) LIMIT %s
"""
_VACUUMING = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
_TRIGGERS = """
SELECT DISTINCT t.tgrelid::regclass::text, t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND p.proname LIKE 'similar%'
"""


def measure(
    home: Home, rounds: int, seconds: float, *, scratch: Path
) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and the figures of each kind of query and of every round of reports."""
    take_off(home.url)
    _folded(home)  # left by other bars
    asked, raw = _asked(home, seconds * rounds, scratch)
    written, rates = uvloop.run(_written(home, rounds, seconds))
    return {**asked, **written}, {"similar": raw, **rates}


# --- queries ----------------------------------------------------------------------------------------------------------


def _asked(home: Home, seconds: float, scratch: Path) -> tuple[dict[str, Measured], dict[str, Any]]:
    """p95 of a single query: for a report, for a title, and for a bug."""
    scratch.mkdir(parents=True, exist_ok=True)
    kinds = _questions(home)
    _wait_for_autovacuum(home)
    with serving("bugrelay", home.environment, log=scratch / "similar.log") as server:
        found = {kind: _figures(home, server, requests, seconds) for kind, requests in kinds.items()}
    bars = {
        f"similar_{kind}": Measured(
            figures["p95_ms"],
            note=f"p50 {figures['p50_ms']:.1f} ms; CPU of the server {figures['server_cpu_ms']:.1f} ms, "
            f"of PostgreSQL {figures['postgres_cpu_ms']:.1f} ms" + _failures(figures),
        )
        for kind, figures in found.items()
    }
    return bars, found


def _wait_for_autovacuum(home: Home) -> None:
    """Wait while PostgreSQL vacuums what other bars wrote, which would take a core from the queries."""
    until = time.monotonic() + MAX_VACUUM_SECONDS
    with psycopg.connect(home.url, autocommit=True) as connection:
        while connection.execute(_VACUUMING).fetchone() != (0,) and time.monotonic() < until:
            time.sleep(1)


def _questions(home: Home) -> dict[str, list[Request]]:
    with psycopg.connect(home.url) as connection:
        share = min(100.0, 100 * 5 * ASKED / home.bugs)
        rows = connection.execute(_ASKED, (share, ASKED)).fetchall()
    path = "/api/v1/bugs/similar"
    return {
        "report": [
            Request("report", path, {"title": title, "description": text, "application_name": name})
            for _, title, text, name in rows
        ],
        "title": [Request("title", path, {"title": title}) for _, title, _, _ in rows],
        "bug": [Request("bug", f"/api/v1/bugs/{bug_id}/similar") for bug_id, *_ in rows],
    }


def _figures(home: Home, server: Server, requests: Sequence[Request], seconds: float) -> dict[str, float]:
    """Milliseconds of time and of CPU per query; all queries are different."""
    say(f"similar bugs by {requests[0].kind}")
    with psycopg.connect(home.url) as connection:
        postgres = parent_of(connection.info.backend_pid)
    drive(server.port, requests, connections=1, seconds=WARM_SECONDS)
    before = server.cpu_seconds(), cpu_seconds(postgres)
    load = drive(server.port, requests, connections=1, seconds=seconds)
    after = server.cpu_seconds(), cpu_seconds(postgres)
    mine, other = [(now - then) / max(1, load.count) * 1000 for then, now in zip(before, after, strict=True)]
    return {
        "questions": load.count,
        "failed": load.failures.total(),
        "p50_ms": round(load.percentile(50) * 1000, 2),
        "p95_ms": round(load.percentile(95) * 1000, 2),
        "p99_ms": round(load.percentile(99) * 1000, 2),
        "server_cpu_ms": round(mine, 2),
        "postgres_cpu_ms": round(other, 2),
    }


def _failures(figures: dict[str, float]) -> str:
    return f"; {figures['failed']:.0f} FAILED" if figures["failed"] else ""


# --- reports ----------------------------------------------------------------------------------------------------------


async def _written(home: Home, rounds: int, seconds: float) -> tuple[dict[str, Measured], dict[str, Any]]:
    """Reports with the row for the index, and without the triggers that write it; then pending reports are folded."""
    say(f"reports by {REPORTERS} at once, with and without the index of similar bugs")
    try:
        async with opened_board(home.settings) as board:
            whole, rest = await report_rates(home, board, rounds, seconds, without=_without_index)
        folded, fold_ms = _folded(home)
    finally:
        _switch(home.url, "ENABLE")
        take_off(home.url)
        _folded(home)
    mine, other = median(whole), median(rest)
    return {
        "create_similar": Measured(mine / other, note=f"{mine:.0f} ÷ {other:.0f} a second"),
        "fold": Measured(fold_ms, note=f"{folded:,} reports, {FOLD_BATCH} a transaction"),
    }, {"reports with similar": whole, "reports without similar": rest}


@contextmanager
def _without_index(url: str) -> Iterator[None]:
    _switch(url, "DISABLE")
    try:
        yield
    finally:
        _switch(url, "ENABLE")


def _switch(url: str, change: str) -> None:
    with psycopg.connect(url) as connection:
        for trigger_table, trigger in connection.execute(_TRIGGERS).fetchall():
            connection.execute(f"ALTER TABLE {trigger_table} {change} TRIGGER {trigger}")


def _folded(home: Home) -> tuple[int, float]:
    """How many reports were pending, and the milliseconds of PostgreSQL's CPU for folding one of them."""
    with psycopg.connect(home.url, autocommit=True) as connection:
        backend = connection.info.backend_pid
        before = cpu_seconds(backend)
        folded = sum(iter(_fold(connection), 0))
        return folded, 1000 * (cpu_seconds(backend) - before) / max(1, folded)


def _fold(connection: psycopg.Connection[Any]) -> Callable[[], int]:
    def fold() -> int:
        row = connection.execute("SELECT similar_fold(%s)", (FOLD_BATCH,)).fetchone()
        return int(row[0]) if row else 0

    return fold


def main() -> None:
    """Measure these bars and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similar_bars", description=__doc__)
    parser.add_argument("--size", type=int, default=LARGE, help="bugs on the board (default: %(default)s)")
    options = parser.parse_args()
    with opened(options.size) as home:
        measured, _ = measure(home, 5, 2.0, scratch=home.directory / "servers")
    print(table(measured, options.size))


if __name__ == "__main__":
    main()
