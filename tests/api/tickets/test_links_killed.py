"""A worker killed in the middle of what follows from an event: nothing of it is there, and then all of it, once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.embedded.processes import spawn, stop
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.tickets.conftest import Caller
from tests.api.tickets.links import behind, notes_of, public, start_links
from tests.conftest import TEST_ENVIRONMENT
from tests.infra.redis.server import eventually

Sql = psycopg.Connection[Any]
SECONDS = 120  # for a process to start and work on a busy machine
STATUSES = ("reviewing", "open")


@contextmanager
def worker(settings: Settings, log_path: Path) -> Iterator[Any]:
    """A worker in a process of its own; killed, if it still lives, at the end of the block."""
    urls = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
    }
    with log_path.open("ab") as log:
        process = spawn(
            [sys.executable, "-m", "bugrelay", "worker"],
            death_signal=signal.SIGKILL,
            env={**os.environ, **TEST_ENVIRONMENT, **urls},
            log=log,
        )
    try:
        yield process
    finally:
        stop(process, signal.SIGKILL, seconds=1)


async def kill_while_it_waits_for(
    table: str, row_id: str, *, settings: Settings, sql: Sql, log_path: Path
) -> None:
    """Start a worker that comes to wait for this row, and kill it there."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with psycopg.connect(settings.database_url) as holder:
        holder.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE", (row_id,))
        with worker(settings, log_path) as process:
            await eventually(lambda: sql.execute(waiting).fetchone() != (0,), seconds=SECONDS)
            process.kill()
            process.wait()


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
async def test_effects_are_there_once_whenever_the_worker_is_killed(
    mae: Caller,
    bug: dict[str, Any],
    client: httpx.AsyncClient,
    platform: Platform,
    settings: Settings,
    sql: Sql,
    tmp_path: Path,
    rounds: int,
) -> None:
    await start_links(platform)
    tickets = sorted([(await mae.ticket())["id"] for _ in range(2)])
    for ticket_id in tickets:
        await mae.done("POST", f"tickets/{ticket_id}/links", {"bugId": bug["id"], "carryStatus": True})
    told = [0, 0]

    async def caught_up() -> None:
        with worker(settings, tmp_path / "worker.log"):
            await eventually(lambda: behind(sql) == 0, seconds=SECONDS)

    for number in range(rounds):
        # The first ticket has its comment when the worker is killed for the second one's.
        status = {"status": STATUSES[number % 2]}
        await client.patch(f"/api/v1/bugs/{bug['id']}/status", json=status, headers=mae.person.headers)
        await kill_while_it_waits_for(
            "tickets", tickets[1], settings=settings, sql=sql, log_path=tmp_path / "killed.log"
        )
        assert [len(notes_of(sql, ticket_id)) for ticket_id in tickets] == told
        await caught_up()
        told = [count + 1 for count in told]
        assert [len(notes_of(sql, ticket_id)) for ticket_id in tickets] == told

        # The user is locked when the worker is killed for the bug.
        await mae.done("PATCH", f"tickets/{tickets[0]}/status", {"status": "closed"})
        await kill_while_it_waits_for(
            "bugs", bug["id"], settings=settings, sql=sql, log_path=tmp_path / "killed.log"
        )
        assert (await public(mae, bug["id"]))["status"] == status["status"]
        await caught_up()
        told[1] += 1
        assert (await public(mae, bug["id"]))["status"] == "fixed"
        assert [len(notes_of(sql, ticket_id)) for ticket_id in tickets] == told
        await mae.done("PATCH", f"tickets/{tickets[0]}/status", {"status": "open"})
    by_link = "SELECT count(*) FROM events WHERE type = 'status.changed' AND cause ->> 'kind' = 'link'"
    assert sql.execute(by_link).fetchone() == (rounds,)
