"""Bars of hot paths over HTTP: an uncached detail, a vote, a report; CPU of the server, compared with the baseline.

The baseline uses joins, and checks session, captcha and vote as BugRelay does; it has no limits, no event log and no
cache invalidation. `python -m benchmarks.hot_path_bars [--size BUGS]` measures only these.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.bars import SMALL, Measured, table
from benchmarks.board import MARK, take_off
from benchmarks.client import Request, drive
from benchmarks.generate import say
from benchmarks.home import Home, opened
from benchmarks.servers import Server, answers, cpu_seconds, free_port, parent_of, serving
from benchmarks.write_bars import TEXTS
from bugrelay.embedded.processes import spawn, stop
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.tokens import AccessTokens

CONNECTIONS = 4
WARM_SECONDS = 2.0
COUNT = 2000  # requests of a kind before they repeat; captcha tokens never repeat
VOTED_FOR = 200  # new bugs for this run
_SHOWN = (
    "SELECT id FROM bugs WHERE removed_at IS NULL AND merged_into_id IS NULL ORDER BY md5(id::text) LIMIT %s"
)


@dataclass(frozen=True)
class Stretch:
    """The result of one turn; CPU in milliseconds per response."""

    per_second: float
    server_ms: float
    postgres_ms: float
    failed: int


def measure(
    home: Home, rounds: int, seconds: float, *, scratch: Path
) -> tuple[dict[str, Measured], dict[str, Any]]:
    """The bars, and all turns by kind of request and by server."""
    scratch.mkdir(parents=True, exist_ok=True)
    take_off(home.url)
    try:
        with _servers(home, scratch) as servers:
            return _measured(home, servers, rounds, seconds)
    finally:
        take_off(home.url)
        with psycopg.connect(home.url) as connection:
            connection.execute("DELETE FROM sessions WHERE user_agent = %s", (MARK,))


def _measured(
    home: Home, servers: dict[str, Server], rounds: int, seconds: float
) -> tuple[dict[str, Measured], dict[str, Any]]:
    with psycopg.connect(home.url) as connection:
        postgres = parent_of(connection.info.backend_pid)
    found: dict[str, dict[str, list[Stretch]]] = {}
    for kind, requests in _requests(home).items():
        ours = servers["uncached" if kind == "detail" else "bugrelay"]
        sides = {"ours": ours, "baseline": servers["baseline"]}
        say(f"{kind} over HTTP")
        for server in sides.values():
            _stretch(server, postgres, requests, WARM_SECONDS)
        found[kind] = {name: [] for name in sides}
        for number in range(rounds):
            for name in sides if number % 2 == 0 else reversed(sides):
                found[kind][name].append(_stretch(sides[name], postgres, requests, seconds))
    bars = {key: bar for kind, sides in found.items() for key, bar in _bars(kind, sides).items()}
    raw = {
        kind: {name: [asdict(one) for one in stretches] for name, stretches in sides.items()}
        for kind, sides in found.items()
    }
    return bars, raw


def _stretch(server: Server, postgres: int, requests: Iterator[Request], seconds: float) -> Stretch:
    before = server.cpu_seconds(), cpu_seconds(postgres)
    load = drive(
        server.port, list(itertools.islice(requests, COUNT)), connections=CONNECTIONS, seconds=seconds
    )
    after = server.cpu_seconds(), cpu_seconds(postgres)
    mine, other = [(now - then) / max(1, load.count) * 1000 for then, now in zip(before, after, strict=True)]
    return Stretch(round(load.per_second, 1), round(mine, 3), round(other, 3), load.failures.total())


def _bars(kind: str, sides: dict[str, list[Stretch]]) -> dict[str, Measured]:
    def middle(name: str, figure: str) -> float:
        return median(float(getattr(stretch, figure)) for stretch in sides[name])

    def cost(name: str) -> float:
        return middle(name, "server_ms") + middle(name, "postgres_ms")

    failed = sum(stretch.failed for stretches in sides.values() for stretch in stretches)
    note = f"PostgreSQL {middle('ours', 'postgres_ms'):.2f} ms; baseline {middle('baseline', 'server_ms'):.2f} and "
    note += f"{middle('baseline', 'postgres_ms'):.2f} ms" + (f"; {failed} FAILED" if failed else "")
    mine, other = middle("ours", "per_second"), middle("baseline", "per_second")
    return {
        f"{kind}_cpu": Measured(middle("ours", "server_ms"), note=note),
        kind: Measured(mine / other, cost("baseline") / cost("ours"), f"{mine:.0f} ÷ {other:.0f} a second"),
    }


# --- what is asked ----------------------------------------------------------------------------------------------------


def _requests(home: Home) -> dict[str, Iterator[Request]]:
    """Endless requests, by their kind."""
    draw = random.Random(7)  # noqa: S311 - a mix, no secret
    tokens = itertools.cycle(_tokens(home))
    bugs = "/api/v1/bugs"
    with psycopg.connect(home.url) as connection:
        shown = itertools.cycle([row[0] for row in connection.execute(_SHOWN, (COUNT,)).fetchall()])
        texts = itertools.cycle(connection.execute(TEXTS).fetchall())
        own = itertools.cycle(_own_bugs(connection))

    def report(**more: str) -> dict[str, Any]:
        title, description, application, tags = next(texts)
        report = {"title": title, "description": description, "application_name": application, "tags": tags}
        return {**report, "app_version": MARK, **more}

    def each() -> Iterator[int]:
        return itertools.count()

    return {
        "detail": (Request("detail", f"{bugs}/{next(shown)}") for _ in each()),
        "vote": (
            Request("vote", f"{bugs}/{next(own)}/vote", method="POST", token=next(tokens)) for _ in each()
        ),
        "report": (Request("report", bugs, report(), token=next(tokens)) for _ in each()),
        "anonymous": (
            Request("report", bugs, report(recaptcha_token=f"{draw.getrandbits(256):064x}{time.time_ns()}"))
            for _ in each()
        ),
    }


def _tokens(home: Home) -> list[str]:
    """Access tokens of users, each with a session that this run created."""
    settings = home.settings
    tokens = AccessTokens(settings.signing_key, home.environment["PUBLIC_URL"], minutes=1000)
    issued = []
    with psycopg.connect(home.url) as connection:
        users = connection.execute("SELECT id FROM users ORDER BY id LIMIT %s", (COUNT // 2 + 1,)).fetchall()
        for (user_id,) in users:
            session_id = new_id()
            connection.execute(
                "INSERT INTO sessions (id, user_id, user_agent) VALUES (%s, %s, %s)",
                (session_id, user_id, MARK),
            )
            issued.append(tokens.issue(user_id=user_id, session_id=session_id)[0])
    return issued


def _own_bugs(connection: psycopg.Connection[Any]) -> list[UUID]:
    """New bugs, which are deleted at the end with all votes for them."""
    ids = [new_id() for _ in range(VOTED_FOR)]
    for bug_id in ids:
        connection.execute(
            "INSERT INTO bugs (id, title, application_id) SELECT %s, 'Voted for', id FROM applications LIMIT 1",
            (bug_id,),
        )
        connection.execute(
            "INSERT INTO bug_texts (bug_id, description, description_html, app_version) VALUES (%s, 'Often.', '', %s)",
            (bug_id, MARK),
        )
    return ids


# --- who is asked -----------------------------------------------------------------------------------------------------


@contextmanager
def _servers(home: Home, scratch: Path) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        verify_url = stack.enter_context(_verifier(scratch))
        captcha = {
            "CAPTCHA": "recaptcha",
            "RECAPTCHA_SECRET_KEY": "of no value",
            "RECAPTCHA_VERIFY_URL": verify_url,
        }
        database = home.url.replace("postgresql://", "postgresql+psycopg://", 1)
        of_baseline = {
            "BASELINE_DATABASE_URL": database,
            "BASELINE_KEY": home.settings.signing_key,
            **captcha,
        }
        environments = {
            "bugrelay": {**home.environment, **captcha},
            "uncached": home.environment,
            "baseline": of_baseline,
        }
        yield {
            name: stack.enter_context(serving(name, environment, log=scratch / f"{name}.log"))
            for name, environment in environments.items()
        }


@contextmanager
def _verifier(scratch: Path) -> Iterator[str]:
    """The address of a captcha verifier, whose CPU is not counted."""
    port = free_port()
    with (scratch / "verifier.log").open("wb") as output:
        argv = [sys.executable, "-m", "benchmarks.verifier"]
        process = spawn(argv, death_signal=signal.SIGTERM, env={**os.environ, "PORT": str(port)}, log=output)
    try:
        while not answers(port):
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        stop(process, signal.SIGTERM, seconds=5)


def main() -> None:
    """Measure these bars and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_path_bars", description=__doc__)
    parser.add_argument("--size", type=int, default=SMALL, help="bugs on the board (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each measurement is repeated (default: %(default)s)"
    )
    options = parser.parse_args()
    with opened(options.size) as home:
        measured, _ = measure(home, options.rounds, 2.0, scratch=home.directory / "servers")
    print(table(measured, options.size))


if __name__ == "__main__":
    main()
