"""Workers that are killed in the middle of deliveries: nothing is lost, and little arrives twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from bugrelay.domain.webhooks.service.delivering import AT_ONCE_PER_WEBHOOK
from bugrelay.settings import Settings
from tests.conftest import TEST_ENVIRONMENT
from tests.domain.webhooks.conftest import Hooks, Outside, Sql, due_now, write_events
from tests.domain.webhooks.receiver import Receiver
from tests.infra.redis.server import eventually
from tests.infra.security.outside import AUTHORITY

ROOT = Path(__file__).parents[3]
KILLS, EVENTS = 3, 20
SECONDS = 60  # for a process to start and deliver on a busy machine

StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(outside: Outside, settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts worker processes; those that are left are killed at the end."""
    authority, started = tmp_path / "authority.pem", list[subprocess.Popen[bytes]]()
    AUTHORITY.cert_pem.write_to_path(str(authority))
    environment = {
        **os.environ,
        **TEST_ENVIRONMENT,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
        "RESOLVER_PORT": str(outside.resolver_port),
        "AUTHORITY": str(authority),
    }

    def start() -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.domain.webhooks.worker_process"]
        started.append(subprocess.Popen(program, env=environment, cwd=ROOT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_workers_that_are_killed_are_followed_by_others_and_no_event_is_lost(
    outside: Outside, company: UUID, hooks: Hooks, receiver: Receiver, start_worker: StartWorker, sql: Sql
) -> None:
    await hooks.add()
    receiver.held = True  # the first is killed while four posts wait for their answers
    for _ in range(KILLS):
        before = len(set(receiver.ids()))
        worker = start_worker()
        await write_events(outside.platform, company, *["bug.edited"] * EVENTS)
        enough = before + (AT_ONCE_PER_WEBHOOK if receiver.held else EVENTS // 2)
        await eventually(lambda: len(set(receiver.ids())) >= enough, seconds=SECONDS)  # noqa: B023 - awaited at once
        worker.kill()
        worker.wait()
        receiver.release()
        due_now(sql)
    start_worker()
    start_worker()
    delivered = "SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered'"
    await eventually(lambda: sql.execute(delivered).fetchone() == (KILLS * EVENTS,), seconds=SECONDS)
    names = sql.execute("SELECT 'evt_' || stream || '_' || seq FROM events WHERE type = 'bug.edited'")
    assert set(receiver.ids()) == {name for (name,) in names.fetchall()}
    assert len(receiver.posts) <= KILLS * (EVENTS + AT_ONCE_PER_WEBHOOK)
