"""`python -m benchmarks.support`: what a capture costs a report, and what a GitHub that hangs costs it, as ratios.

One server process and a worker, eight connections, in turns. The capture is that of a page after some minutes of use
(`capture`). The fake GitHub accepts connections and never responds. The databases are new for each run.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psycopg

from benchmarks.client import Request, drive
from benchmarks.generate import say
from benchmarks.home import ENVIRONMENT
from benchmarks.servers import Server, serving, working
from bugrelay.embedded import running
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.ids import new_id
from bugrelay.migrate import migrate
from bugrelay.settings import load_settings

ROUNDS, CONNECTIONS = 7, 8
CAPTURE_BAR, HANGING_BAR = 0.7, 0.95
PAIRS: Sequence[tuple[str, str]] = (("with", "without"), ("hanging", "off"))
APPLICATION = "https://app.paper.example"
TYPED = {
    "title": "Export fails",
    "description": "The export of the quarterly report ends with an error, and the file is empty.",
    "severity": "high",
    "steps_to_reproduce": "Open a report, click *Export*, choose CSV.",
    "page_url": f"{APPLICATION}/reports/2026?tab=2",
    "browser_info": {"name": "Firefox", "version": "131.0", "platform": "Linux x86_64", "language": "en"},
}


def capture() -> dict[str, Any]:
    """Some 10 kB: errors with stacks, calls with headers and responses, clicks, local storage; some have secrets."""
    return {
        "console_errors": [_console_error(n) for n in range(5)],
        "api_history": [_call(n) for n in range(10)],
        "user_actions": [_action(n) for n in range(20)],
        "local_storage_data": {
            "theme": "dark",
            "token": f"{'e30'}.{'a' * 80}.{'b' * 43}",
            "draft": '{"title": "x"}',
        },
        "session_storage_data": {"tab": "2"},
    }


def _console_error(number: int) -> dict[str, Any]:
    script = f"{APPLICATION}/static/js/main.8f3a2c.js"
    return {
        "timestamp": f"2026-11-22T03:15:{number:02}.123Z",
        "message": f"TypeError: Cannot read properties of undefined (reading 'items{number}')",
        "source": script,
        "line": 1,
        "column": 20_345,
        "stack": f"TypeError: …\n    at render ({script}:1:20345)\n    at commit ({script}:2:99812)",
    }


def _call(number: int) -> dict[str, Any]:
    return {
        "method": "GET",
        "url": f"{APPLICATION}/api/items/{number}?page=2&sort=name",
        "status": 200 if number % 5 else 500,
        "duration_ms": 31.5,
        "headers": {"Accept": "application/json", "Authorization": "Bearer 5f2c8e77aa01bb34cc"},
        "response": json.dumps({"id": number, "name": "Quarterly report", "owner": "rita@people.example"}),
    }


def _action(number: int) -> dict[str, Any]:
    moment = f"2026-11-22T03:14:{number:02}.000Z"
    return {
        "type": "click",
        "selector": f"#list > li:nth-child({number})",
        "text": "Export",
        "timestamp": moment,
    }


class Board(NamedTuple):
    """A server on new databases, and the token of an admin who reports to their company."""

    server: Server
    token: str
    company_id: UUID

    def report(self, body: dict[str, Any], *, seconds: float) -> float:
        """Reports per second."""
        request = Request("report", "/api/support/report", body, token=self.token)
        load = drive(self.server.port, [request], connections=CONNECTIONS, seconds=seconds)
        if load.failures:
            raise SystemExit(f"{load.failures.total()} reports were refused")
        return round(load.per_second, 1)

    def connect(self, *, enabled: bool) -> None:
        """Have reports sent to GitHub, or not."""
        httpx.put(
            f"http://127.0.0.1:{self.server.port}/api/v1/companies/{self.company_id}/github",
            json={"repo": "paper/reports", "token": secrets.token_hex(20), "enabled": enabled},
            headers={"Authorization": f"Bearer {self.token}"},
        ).raise_for_status()


@contextmanager
def reported_to() -> Iterator[Board]:
    """A board whose GitHub hangs."""
    with (
        tempfile.TemporaryDirectory(prefix="bugrelay-bench-") as folder,
        socket.create_server(("127.0.0.1", 0)) as hanging,
    ):
        github = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        environment = {**ENVIRONMENT, "BUGRELAY_HOME": folder, "GITHUB_API_URL": github}
        with running(load_settings(environment)) as settings:
            migrate(settings)
            environment |= {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
            with (
                serving("bugrelay", {**os.environ, **environment}, log=Path(folder) / "server.log") as server,
                working(environment, log=Path(folder) / "worker.log"),
            ):
                yield _joined(server, libpq_url(settings.database_url))


def _joined(server: Server, url: str) -> Board:
    body = {"email": "rita@people.example", "username": "rita", "password": "correct horse battery staple"}
    answer = httpx.post(f"http://127.0.0.1:{server.port}/api/v1/auth/register", json=body).json()
    company_id = new_id()
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO companies (id, name, domain, verified, verified_at)"
            " VALUES (%s, 'Paper', 'paper.example', true, now())",
            (company_id,),
        )
        connection.execute(
            "INSERT INTO company_members (id, company_id, user_id, role) VALUES (%s, %s, %s, 'admin')",
            (new_id(), company_id, answer["user"]["id"]),
        )
    return Board(server, str(answer["access_token"]), company_id)


def measure(seconds: float) -> dict[str, list[float]]:
    """Reports per second: with a capture and without; while GitHub hangs and while nothing is sent there."""
    rates: dict[str, list[float]] = {"with": [], "without": [], "hanging": [], "off": []}
    bodies = {"with": {**TYPED, **capture()}, "without": TYPED, "hanging": TYPED, "off": TYPED}
    with reported_to() as board:
        for pair in PAIRS:
            for number in range(-1, ROUNDS):
                for kind in pair if number % 2 else reversed(pair):
                    if kind in ("hanging", "off"):
                        board.connect(enabled=kind == "hanging")
                    rate = board.report(bodies[kind], seconds=seconds)
                    if number >= 0:
                        rates[kind].append(rate)
    return rates


def _ratio(one: list[float], other: list[float]) -> float:
    return median(each / beside for each, beside in zip(one, other, strict=True))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.support", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="duration of each turn (default: %(default)s)"
    )
    options = parser.parse_args()
    say(f"a capture of {len(json.dumps(capture())):,} bytes")
    rates = measure(options.seconds)
    print(json.dumps(rates))
    capture_ratio, hanging_ratio = (
        _ratio(rates["with"], rates["without"]),
        _ratio(rates["hanging"], rates["off"]),
    )
    print(f"{capture_ratio:6.2f}  ≥ {CAPTURE_BAR:<4}  report with a capture ÷ without")
    print(f"{hanging_ratio:6.2f}  ≥ {HANGING_BAR:<4}  report while GitHub hangs ÷ while it is switched off")


if __name__ == "__main__":
    main()
