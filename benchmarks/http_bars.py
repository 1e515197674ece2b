"""Bars over HTTP: BugRelay compared with plain bytes and with the baseline, in turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from redis import Redis

from benchmarks import mix
from benchmarks.bars import Measured
from benchmarks.client import Request, drive
from benchmarks.generate import say
from benchmarks.home import Home
from benchmarks.servers import Server, cpu_seconds, parent_of, serving

HOT_CONNECTIONS = 32
MIX_CONNECTIONS = 8
WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Effort:
    """How long to measure: the number of rounds, and the seconds in each for every cached response and every mix."""

    rounds: int
    hot_seconds: float
    mix_seconds: float


@dataclass(frozen=True)
class Side:
    """One of the servers that take turns."""

    name: str
    server: Server
    requests: list[Request]
    connections: int
    seconds: float


@dataclass(frozen=True)
class Stretch:
    """The result of one turn. Times in milliseconds; CPU of server, PostgreSQL and Redis per response."""

    per_second: float
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p50_ms_by_kind: dict[str, float]
    failed: int


def measure(home: Home, effort: Effort, scratch: Path) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and all turns by the name of their side."""
    with _sides(home, effort, scratch) as sides:
        meter = _Meter(home)
        stretches: dict[str, list[Stretch]] = {side.name: [] for side in sides}
        for side in sides:
            _stretch(side, meter, seconds=WARM_SECONDS)
        for number in range(effort.rounds):
            say(f"HTTP, round {number + 1} of {effort.rounds}")
            for side in sides if number % 2 == 0 else reversed(sides):
                stretches[side.name].append(_stretch(side, meter, seconds=side.seconds))
    measured = {
        "cached_list": _ratio(stretches, "cached list", "plain list"),
        "cached_detail": _ratio(stretches, "cached detail", "plain detail"),
        "redis_hit": _ratio(stretches, "list from Redis", "plain list"),
        "uncached_mix": _ratio(stretches, "uncached mix", "baseline mix"),
        "cached_mix": _ratio(stretches, "mix with caches", "baseline mix"),
        "whole_titles": _ratio(stretches, "whole titles", "one word"),
    }
    return measured, {name: [vars(one) for one in found] for name, found in stretches.items()}


@contextmanager
def _sides(home: Home, effort: Effort, scratch: Path) -> Iterator[list[Side]]:
    """All servers, with the requests for each."""
    scratch.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:

        def start(name: str, environment: dict[str, str]) -> Server:
            return stack.enter_context(serving(name, environment, log=scratch / f"{name}.log"))

        bugrelay = start("bugrelay", home.environment)
        redis_only = start("redis-only", home.environment)
        uncached = start("uncached", home.environment)
        detail = f"/api/v1/bugs/{_a_bug(bugrelay)}"
        (scratch / "list.json").write_bytes(bugrelay.get("/api/v1/bugs"))
        (scratch / "detail.json").write_bytes(bugrelay.get(detail))
        plain = start("plain", {"PLAIN_BODIES": str(scratch)})
        database = home.url.replace("postgresql://", "postgresql+psycopg://", 1)
        baseline = start("baseline", {"BASELINE_DATABASE_URL": database})

        def hot(name: str, server: Server, path: str) -> Side:
            return Side(name, server, [Request("hot", path)], HOT_CONNECTIONS, effort.hot_seconds)

        def searching(name: str, *kinds: str) -> Side:
            requests = mix.searches(kinds, home.request_words)
            return Side(name, uncached, requests, MIX_CONNECTIONS, effort.mix_seconds)

        def mixed(name: str, server: Server) -> Side:
            requests = mix.requests(home.request_words)
            return Side(name, server, requests, MIX_CONNECTIONS, effort.mix_seconds)

        yield [
            hot("plain list", plain, "/api/v1/bugs"),
            hot("cached list", bugrelay, "/api/v1/bugs"),
            hot("list from Redis", redis_only, "/api/v1/bugs"),
            hot("plain detail", plain, detail),
            hot("cached detail", bugrelay, detail),
            mixed("baseline mix", baseline),
            mixed("uncached mix", uncached),
            mixed("mix with caches", bugrelay),
            searching("one word", "rare", "medium", "mid", "common"),
            searching("whole titles", "title"),
        ]


def _a_bug(server: Server) -> str:
    bug_id: str = json.loads(server.get("/api/v1/bugs?sort=popular"))["bugs"][0]["id"]
    return bug_id


class _Meter:
    """The CPU time of a server and of its databases."""

    def __init__(self, home: Home) -> None:
        with psycopg.connect(home.url) as connection:
            self._postgres = parent_of(connection.info.backend_pid)
        self._redis = _redis_pid(home.settings.redis_url)

    def seconds(self, server: Server) -> float:
        return server.cpu_seconds() + cpu_seconds(self._postgres) + cpu_seconds(self._redis)


def _redis_pid(url: str) -> int:
    with Redis.from_url(url) as connection:
        return int(connection.info("server")["process_id"])


def _stretch(side: Side, meter: _Meter, *, seconds: float) -> Stretch:
    before = meter.seconds(side.server)
    load = drive(side.server.port, side.requests, connections=side.connections, seconds=seconds)
    cpu = meter.seconds(side.server) - before
    return Stretch(
        per_second=round(load.per_second, 1),
        cpu_ms=round(cpu / max(1, load.count) * 1000, 4),
        p50_ms=round(load.percentile(50) * 1000, 3),
        p95_ms=round(load.percentile(95) * 1000, 3),
        p99_ms=round(load.percentile(99) * 1000, 3),
        p50_ms_by_kind={kind: round(load.percentile(50, kind) * 1000, 3) for kind in load.latencies},
        failed=load.failures.total(),
    )


def _ratio(stretches: dict[str, list[Stretch]], ours: str, other: str) -> Measured:
    """Ours to the other, by medians; the note names failed requests and a large spread between rounds."""

    def middle(name: str, figure: str) -> float:
        return median(float(getattr(stretch, figure)) for stretch in stretches[name])

    notes = []
    for name in (ours, other):
        failed = sum(stretch.failed for stretch in stretches[name])
        if failed:
            notes.append(f"{name}: {failed} FAILED")
        speeds = [stretch.per_second for stretch in stretches[name]]
        if max(speeds) > 1.5 * min(speeds):
            notes.append(f"{name}: rounds differ {max(speeds) / max(min(speeds), 0.1):.1f}-fold")
    return Measured(
        middle(ours, "per_second") / middle(other, "per_second"),
        by_cpu=middle(other, "cpu_ms") / middle(ours, "cpu_ms"),
        note="; ".join(notes),
    )
