"""`python -m benchmarks.run [--size BUGS]`: generate the board, measure all bars, print a table, store the numbers."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from benchmarks import (
    event_bars,
    hot_path_bars,
    http_bars,
    memory,
    picture,
    search_bars,
    similar_bars,
    totals_bar,
    write_bars,
)
from benchmarks.bars import LARGE, SMALL, Measured, table
from benchmarks.board import take_off
from benchmarks.generate import say
from benchmarks.home import ROOT, Home, opened

ROUNDS = 5
LOCAL_SECONDS = 2.0
MIX_SECONDS = {SMALL: 4.0, LARGE: 10.0}  # with a million bugs the baseline serves a dozen requests a second
WRITE_SECONDS = 2.0


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--size", type=int, default=SMALL, help="bugs on the board (default: %(default)s)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        help="how often each measurement is repeated (default: %(default)s)",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is cleaned up
    with opened(options.size) as home:
        measured, raw = _measure(home, options.rounds)
        machine = _machine(home)
    kept = {
        "bugs": home.bugs,
        "rounds": options.rounds,
        "machine": machine,
        "bars": {key: asdict(one) for key, one in measured.items()},
        "raw": raw,
    }
    results, drawing = _places(home)
    results.write_text(json.dumps(kept, indent=1) + "\n")
    drawing.write_text(picture.drawn(raw, bugs=home.bugs))
    growth = _growth(home, kept)
    if growth is not None:
        measured["growth"] = growth
    print(f"\n{home.bugs:,} bugs, {machine}\n")
    print(table(measured, home.bugs))
    say(f"numbers in {results.relative_to(ROOT)}, picture in {drawing.relative_to(ROOT)}")


def _measure(home: Home, rounds: int) -> tuple[dict[str, Measured], dict[str, Any]]:
    mix_seconds = MIX_SECONDS[LARGE if home.bugs >= LARGE else SMALL]
    effort = http_bars.Effort(rounds, LOCAL_SECONDS, mix_seconds)
    take_off(home.url)
    write_bars.enable_search(home.url)
    http, stretches = http_bars.measure(home, effort, home.directory / "servers")
    searches, words = uvloop.run(search_bars.measure(home, rounds))
    exact_total = uvloop.run(totals_bar.measure(home))
    writes, rates = uvloop.run(write_bars.measure(home, rounds, WRITE_SECONDS))
    logged, logged_rates = uvloop.run(event_bars.measure(home, rounds, WRITE_SECONDS))
    similar, raw_similar = similar_bars.measure(
        home, rounds, WRITE_SECONDS, scratch=home.directory / "servers"
    )
    hot_paths, raw_hot_paths = hot_path_bars.measure(
        home, rounds, WRITE_SECONDS, scratch=home.directory / "servers"
    )
    sizes, processes = memory.measure()
    measured = {
        **http,
        **hot_paths,
        **searches,
        "exact_total": exact_total,
        **writes,
        **similar,
        **logged,
        **sizes,
    }
    return measured, {
        "http": stretches,
        **words,
        "writes": {**rates, **logged_rates},
        **raw_similar,
        "hot_paths": raw_hot_paths,
        "memory_mb": processes,
    }


def _places(home: Home) -> tuple[Path, Path]:
    """Where numbers and picture are written: into the repository for the two sizes that have bars."""
    if home.bugs in (SMALL, LARGE):
        return ROOT / f"benchmarks/results-{home.bugs}.json", ROOT / f"docs/performance-{home.bugs}.svg"
    return home.directory / "results.json", home.directory / "performance.svg"


def _growth(home: Home, kept: dict[str, Any]) -> Measured | None:
    """p95 of the uncached mix at a million bugs to that at 100,000, when both have been measured."""
    if home.bugs not in (SMALL, LARGE):
        return None
    p95 = {}
    for bugs in (SMALL, LARGE):
        path = ROOT / f"benchmarks/results-{bugs}.json"
        if not path.exists():
            return None
        found = kept if bugs == home.bugs else json.loads(path.read_text())
        ordered = sorted(stretch["p95_ms"] for stretch in found["raw"]["http"]["uncached mix"])
        p95[bugs] = ordered[len(ordered) // 2]
    return Measured(p95[LARGE] / p95[SMALL], note=f"{p95[LARGE]:.0f} ms ÷ {p95[SMALL]:.0f} ms")


def _machine(home: Home) -> str:
    """The machine of the measurement."""
    with psycopg.connect(home.url) as connection:
        postgres = connection.info.server_version // 10_000
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{cores} cores ({model}), {memory_gib:.0f} GiB, Python {platform.python_version()}, PostgreSQL {postgres}"


if __name__ == "__main__":
    main()
