"""Workers killed at each step of a push: one issue of each ticket, and none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bugrelay.settings import Settings
from tests.conftest import TEST_ENVIRONMENT
from tests.domain.github.conftest import Sql, Tenant
from tests.domain.github.fake_github import FakeGitHub, Repository
from tests.domain.github.test_pushing import ISSUES, a_minute_later
from tests.infra.redis.server import eventually

ROOT = Path(__file__).parents[3]
SECONDS = 120  # for a process to start and call on a busy machine
LOOKING = "GET /repos/paper/reports"
LISTING = "GET /repos/paper/reports/issues"
CLOSING = "PATCH /repos/paper/reports/issues/"

StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(settings: Settings, github: FakeGitHub, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts worker processes as an operator does; those that are left are killed at the end."""
    started = list[subprocess.Popen[bytes]]()
    environment = {
        **os.environ,
        **TEST_ENVIRONMENT,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
        "GITHUB_API_URL": github.url,
        "GITHUB_WRITES": "off",
    }

    def start() -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "bugrelay", "worker"]
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(subprocess.Popen(program, env=environment, cwd=ROOT, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


# Where the worker is when it is killed; None: at whatever it does once it has the answer.
STEPS: list[tuple[str, str | None]] = [
    (ISSUES, "after"),
    (ISSUES, "before"),
    (LISTING, "before"),
    (ISSUES, None),
    (LOOKING, "before"),
    (CLOSING, "after"),
    (CLOSING, "before"),
]


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_worker_killed_at_any_step_leaves_one_issue_for_each_ticket(
    tenant: Tenant,
    github: FakeGitHub,
    repository: Repository,
    start_worker: StartWorker,
    sql: Sql,
    rounds: int,
) -> None:
    await tenant.connect()
    worker = start_worker()
    tickets: list[dict[str, Any]] = []
    for number in range(rounds):
        request, held = STEPS[number % len(STEPS)]
        await _bring_to(tenant, github, sql, tickets, request=request, held=held)
        worker.kill()
        worker.wait()
        a_minute_later(sql)
        worker = start_worker()
        await eventually(lambda: _is_done(sql, tickets), seconds=SECONDS)
    assert sorted(github.marks()) == sorted(ticket["id"] for ticket in tickets)
    assert len(repository.issues) == rounds
    assert github.most_at_once == 1
    closed = {ticket["id"] for ticket in tickets if ticket["closed"]}
    assert {
        mark
        for mark, issue in zip(github.marks(), repository.issues, strict=True)
        if issue["state"] == "closed"
    } == closed


def _is_done(sql: Sql, tickets: list[dict[str, Any]]) -> bool:
    """Every issue is known, and nothing waits; what was in vain meanwhile is not waited for."""
    sql.execute("UPDATE github_pushes SET next_at = now() WHERE state = 'pending' AND next_at > now()")
    synced = sql.execute("SELECT count(*) FROM github_issues WHERE state = 'synced'").fetchone()
    waiting = sql.execute("SELECT count(*) FROM github_pushes").fetchone()
    return (synced, waiting) == ((len(tickets),), (0,))


async def _bring_to(
    tenant: Tenant,
    github: FakeGitHub,
    sql: Sql,
    tickets: list[dict[str, Any]],
    *,
    request: str,
    held: str | None,
) -> None:
    """A new ticket, and the worker where it is to be killed."""
    github.hold()
    sql.execute("UPDATE github_connections SET checked_at = checked_at - interval '1 hour'")
    number = len(tickets) + 1
    asked = f"{CLOSING}{number}" if request == CLOSING else request
    if request == LISTING:
        github.plan(ISSUES, status=502, applied=True)
    if held is not None:
        github.plan(asked, held=held)
    before = github.count(asked)
    ticket = await tenant.report(f"Number {number}")
    tickets.append(ticket | {"closed": request == CLOSING})
    if request == CLOSING:
        known = "SELECT count(*) FROM github_issues WHERE ticket_id = %s AND state = 'synced'"
        await eventually(lambda: sql.execute(known, (ticket["id"],)).fetchone() == (1,), seconds=SECONDS)
        await tenant.move(ticket, "resolved")
    if request == LISTING:
        tried = "SELECT count(*) FROM github_pushes WHERE attempts = 1"
        await eventually(lambda: sql.execute(tried).fetchone() == (1,), seconds=SECONDS)
        a_minute_later(sql)
    if held is None:
        await eventually(lambda: github.count(asked) > before, seconds=SECONDS)
    else:
        await eventually(lambda: github.held == 1, seconds=SECONDS)
