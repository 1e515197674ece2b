"""Workers in this process: what they share, and what they survive."""

from __future__ import annotations

import asyncio
from collections import Counter

from bugrelay.infra.jobs import worker
from bugrelay.infra.jobs.queue import MAIL_QUEUE
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from bugrelay.worker import all_tasks
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


async def test_jobs_that_were_queued_under_a_former_name_run(
    platform: Platform, settings: Settings, sql: Sql
) -> None:
    log, tick = Log(), Log()
    await add(platform, "tests.protocol", number=1)
    await add(platform, "tests.protocol", queue=MAIL_QUEUE, number=2)
    await add(platform, "tests.clock", timestamp=0)
    tasks = Tasks(
        by_name={"tests.log": log},
        periodic={"tests.tick": Periodic("0 0 1 1 *", tick)},
        former_names={"tests.log": "tests.protocol", "tests.tick": "tests.clock"},
    )
    async with working(settings, tasks):
        await comes_true(lambda: job_count(sql) == 0)
    assert sorted(call["number"] for call in log.calls) == [1, 2]
    assert tick.calls == [{}]


def test_every_former_name_is_that_of_a_task() -> None:
    tasks = all_tasks()
    names = {*tasks.by_name, *tasks.periodic}
    assert tasks.former_names.keys() <= {*names, "jobs.delete_failed"}
    assert not names & set(tasks.former_names.values())


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
