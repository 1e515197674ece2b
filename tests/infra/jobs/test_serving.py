"""Workers in this process: what they share, and what they survive."""

from __future__ import annotations

import asyncio
from collections import Counter

from bugrelay.infra.jobs import worker
from bugrelay.infra.jobs.queue import MAIL_QUEUE
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import Log, Sql, add, job_count
from tests.infra.mail.postbox import comes_true, working


async def test_hanging_mails_do_not_keep_other_jobs_waiting(
    platform: Platform, settings: Settings, sql: Sql
) -> None:
    log, released = Log(), asyncio.Event()

    async def hang(_platform: Platform) -> None:
        await released.wait()

    for _ in range(10):
        await add(platform, "tests.hang", queue=MAIL_QUEUE)
    async with working(settings, Tasks(by_name={"tests.hang": hang, "tests.log": log})):
        await comes_true(lambda: job_count(sql, "doing") == worker.CONCURRENCY)
        await add(platform, number=1)
        await comes_true(lambda: bool(log.calls))
        assert job_count(sql, "doing") >= worker.CONCURRENCY
        released.set()
        await comes_true(lambda: job_count(sql) == 0)


async def test_two_workers_run_each_job_once(platform: Platform, settings: Settings, sql: Sql) -> None:
    log = Log()
    async with platform.work() as work:
        for number in range(60):
            await platform.jobs.add(work.session, "tests.log", number=number)
    async with working(settings, log.tasks), working(settings, log.tasks):
        await comes_true(lambda: job_count(sql) == 0)
    assert Counter(call["number"] for call in log.calls) == dict.fromkeys(range(60), 1)


async def test_periodic_jobs_run_once_for_two_workers(
    settings: Settings, sql: Sql, empty_board: None
) -> None:
    log = Log()
    tasks = Tasks(periodic={"tests.tick": Periodic("* * * * *", log)})
    async with working(settings, tasks), working(settings, tasks):
        await comes_true(lambda: bool(log.calls) and job_count(sql) == 0)
    defers = sql.execute(
        "SELECT count(*) FROM procrastinate_periodic_defers WHERE task_name = 'tests.tick'"
    ).fetchone()
    assert defers == (1,) or len(log.calls) == defers[0]  # type: ignore[index] - a minute may have begun meanwhile


async def test_a_worker_continues_when_the_database_is_back(
    platform: Platform, settings: Settings, sql: Sql
) -> None:
    log = Log()
    async with working(settings, log.tasks):
        await add(platform, number=1)
        await comes_true(lambda: len(log.calls) == 1)
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bugrelay-worker'"
        )
        await add(platform, number=2)
        await comes_true(lambda: len(log.calls) == 2)
    assert log.calls == [{"number": 1}, {"number": 2}]
