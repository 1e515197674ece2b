"""Jobs of workers that were killed run again."""

from __future__ import annotations

import pytest

from bugrelay.infra.jobs import queue
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import Log, Sql, add, job_count
from tests.infra.mail.postbox import comes_true, working


async def test_jobs_of_workers_that_were_killed_run_again(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker's row is gone, its worker is silent, or it lost its outcome while its worker lives on."""
    monkeypatch.setattr(
        queue, "SILENT_SECONDS", 4.0
    )  # the worker of this test gives a sign every two seconds
    log = Log()
    for number in range(3):
        await add(platform, number=number)
    sql.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    silent = sql.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute') RETURNING id"
    ).fetchone()
    alive = sql.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour') RETURNING id"
    ).fetchone()
    assert silent is not None
    assert alive is not None
    numbered = "UPDATE procrastinate_jobs SET worker_id = %s WHERE args ->> 'number' = %s"
    sql.execute(numbered, (silent[0], "1"))
    sql.execute(numbered, (alive[0], "2"))
    sql.execute(
        "UPDATE procrastinate_events SET at = now() - interval '1 hour' WHERE type = 'started' AND job_id ="
        " (SELECT id FROM procrastinate_jobs WHERE args ->> 'number' = '2')"
    )
    await add(platform, number=3)
    running = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE args ->> 'number' = '3'"
    sql.execute(running, (alive[0],))
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql) == 1)
    assert sorted(call["number"] for call in log.calls) == [0, 1, 2]  # and not the one that runs elsewhere
