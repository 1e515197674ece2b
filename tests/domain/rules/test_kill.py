"""Workers that are killed while rules run: everything is done, and nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bugrelay.embedded.processes import spawn, stop
from bugrelay.settings import Settings
from tests.api.tickets.conftest import Caller
from tests.conftest import TEST_ENVIRONMENT
from tests.domain.rules.conftest import Rules
from tests.infra.redis.server import eventually

ROOT = Path(__file__).parents[3]
TICKETS = 6  # a round
SECONDS = 120  # for a process to start and work on a busy machine

StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts worker processes; those that are left are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        **TEST_ENVIRONMENT,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
        "PYTHONPATH": str(ROOT),
    }

    def start() -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.domain.rules.rules_worker"]
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(spawn(program, death_signal=signal.SIGKILL, env=environment, log=log))
        return started[-1]

    yield start
    for process in started:
        stop(process, signal.SIGKILL, seconds=5)


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_worker_killed_during_a_run_repeats_and_omits_nothing(
    rules: Rules, rita: Caller, start_worker: StartWorker, rounds: int
) -> None:
    says = [{"type": "comment", "text": f"{number} {{key}}"} for number in range(5)]
    mails = {"type": "notify", "to": ["admins"], "text": "{key}"}
    made_rules = [
        await rules.add("ticket.created", *says, {"type": "add_tag", "value": "seen"}, mails, name="first"),
        await rules.add("ticket.created", *says, name="second"),
        await rules.add("ticket.created", says[0], name="third, in a transaction of its own"),
    ]
    made = [await rita.ticket() for _ in range(TICKETS)]
    chance = random.Random(rounds)

    def count(table: str) -> int:
        row = rules.sql.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
        assert row is not None
        number: int = row[0]
        return number

    for _ in range(rounds):
        before, worker = count("workflow_runs"), start_worker()
        enough = before + chance.randint(1, len(made_rules) * (TICKETS - 1))
        await eventually(lambda: count("workflow_runs") >= enough, seconds=SECONDS)  # noqa: B023 - awaited at once
        worker.kill()
        worker.wait()
        made += [await rita.ticket() for _ in range(TICKETS)]
    start_worker()
    start_worker()
    await eventually(rules.is_caught_up, seconds=SECONDS)
    for rule in made_rules:
        tickets = await runs_of(rules, rule)
        assert len(tickets) == len(made) == len(set(tickets))
    assert count("ticket_comments") == len(made) * (2 * len(says) + 1)
    assert count("procrastinate_jobs WHERE task_name = 'rules.notify'") == len(made)
    told = rules.sql.execute(
        "SELECT count(*) FROM events WHERE type = 'ticket.changed' AND cause ->> 'kind' = 'rule'"
    ).fetchone()
    assert told == (len(made),)


async def runs_of(rules: Rules, rule: dict[str, str]) -> list[str]:
    rows = rules.sql.execute("SELECT ticket_id::text FROM workflow_runs WHERE rule_id = %s", (rule["id"],))
    return [ticket_id for (ticket_id,) in rows.fetchall()]
