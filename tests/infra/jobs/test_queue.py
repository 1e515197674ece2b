"""Jobs: rows of the caller's transaction, run once and again until they succeed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest
import structlog
from procrastinate.jobs import Job
from procrastinate.utils import utcnow
from sqlalchemy import text

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.jobs import queue
from bugrelay.infra.jobs.queue import MAIL_QUEUE, BackOff, Periodic, Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.mail.postbox import comes_true, working

Sql = psycopg.Connection[Any]
JobLog = Sequence[MutableMapping[str, Any]]


class Log:
    """A task that writes down what it was called with, and fails as often as it is told."""

    def __init__(self, *, failures: int = 0) -> None:
        self.calls: list[Any] = []
        self._failures = failures

    async def __call__(self, _platform: Platform, **arguments: Any) -> None:
        self.calls.append(arguments)
        if len(self.calls) <= self._failures:
            raise RuntimeError("not yet")

    @property
    def tasks(self) -> Tasks:
        return Tasks(by_name={"tests.log": self})


async def add(platform: Platform, name: str = "tests.log", **arguments: Any) -> None:
    async with platform.work() as work:
        await platform.jobs.add(work.session, name, **arguments)


def job_count(sql: Sql, status: str | None = None) -> int:
    row = sql.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE %(status)s::text IS NULL OR status::text = %(status)s",
        {"status": status},
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_rolled_back_change_leaves_no_job(platform: Platform, sql: Sql) -> None:
    with suppress(ZeroDivisionError):
        async with platform.work() as work:
            await platform.jobs.add(work.session, "tests.log")
            raise ZeroDivisionError
    assert job_count(sql) == 0


async def test_a_job_runs_after_the_commit_and_is_gone_then(
    platform: Platform, settings: Settings, sql: Sql
) -> None:
    log = Log()
    async with working(settings, log.tasks):
        async with platform.work() as work:
            await platform.jobs.add(work.session, "tests.log", number=1)
            assert job_count(sql) == 0
            await asyncio.sleep(0.3)
            assert log.calls == []
        await comes_true(lambda: job_count(sql) == 0 and bool(log.calls))
    assert log.calls == [{"number": 1}]


async def test_a_database_that_goes_away_while_a_job_is_added_is_unavailable(
    platform: Platform, sql: Sql
) -> None:
    async def add_to_the_broken() -> None:
        async with platform.work() as work:
            pid = await work.session.scalar(text("SELECT pg_backend_pid()"))
            sql.execute("SELECT pg_terminate_backend(%s)", (pid,))
            await asyncio.sleep(0.1)
            await platform.jobs.add(work.session, "tests.log")

    with pytest.raises(ServiceUnavailable):
        await add_to_the_broken()
    assert job_count(sql) == 0


async def test_a_failed_job_is_tried_again_until_it_succeeds(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.1)
    log = Log(failures=2)
    await add(platform, number=1)
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql) == 0)
    assert log.calls == [{"number": 1}] * 3


def test_pauses_double_and_end() -> None:
    def job(attempts: int) -> Job:
        return Job(
            id=7, queue="default", lock=None, queueing_lock=None, task_name="tests.log", attempts=attempts
        )

    pauses = []
    for attempts in range(queue.MAX_ATTEMPTS - 1):
        decision = BackOff().get_retry_decision(exception=RuntimeError(), job=job(attempts))
        assert decision is not None
        assert decision.retry_at is not None
        pauses.append((decision.retry_at - utcnow()).total_seconds())
    for attempts, pause in enumerate(pauses):
        least = min(5 * 2**attempts, 6 * 3600)
        assert least - 2 <= pause <= least * 1.25 + 1
    assert 20 * 3600 < sum(pauses) < 36 * 3600  # a server may be down over night
    given_up = BackOff().get_retry_decision(exception=RuntimeError(), job=job(queue.MAX_ATTEMPTS - 1))
    assert given_up is None


async def test_a_job_that_is_given_up_is_kept_for_a_while_and_told_as_an_error(
    platform: Platform, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MAX_ATTEMPTS", 1)
    log = Log(failures=9)
    await add(platform)
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql, "failed") == 1)
    assert len(log.calls) == 1
    assert [(line["event"], line["log_level"]) for line in job_log if line.get("task") == "tests.log"] == [
        ("job_failed", "warning"),
        ("job_given_up", "error"),
    ]


async def test_how_each_attempt_ended_is_told_with_the_request_that_asked(
    platform: Platform, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.1)
    log = Log(failures=1)
    with structlog.contextvars.bound_contextvars(request_id="the one who asked"):
        await add(platform, number=1)
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql) == 0)
    told = [line for line in job_log if line.get("task") == "tests.log"]
    assert [(line["event"], line["attempt"]) for line in told] == [("job_failed", 1), ("job_done", 2)]
    assert all(line["request_id"] == "the one who asked" and line["ms"] >= 0 for line in told)
    assert log.calls == [{"number": 1}] * 2  # it is for the log, and no argument of the task


async def test_a_job_that_a_job_asks_for_keeps_the_request(
    platform: Platform, settings: Settings, sql: Sql, job_log: JobLog
) -> None:
    async def ask(platform: Platform) -> None:
        await add(platform, number=1)

    log = Log()
    with structlog.contextvars.bound_contextvars(request_id="the one who asked"):
        await add(platform, "tests.ask")
    async with working(settings, Tasks(by_name={"tests.ask": ask, "tests.log": log})):
        await comes_true(lambda: bool(log.calls) and job_count(sql) == 0)
    assert {line["task"]: line["request_id"] for line in job_log if line["event"] == "job_done"} == {
        "tests.ask": "the one who asked",
        "tests.log": "the one who asked",
    }


async def test_a_job_that_takes_too_long_is_given_up_and_tried_again(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "JOB_SECONDS", 0.2)

    async def never_ends(_platform: Platform) -> None:
        await asyncio.sleep(3600)

    await add(platform, "tests.never_ends")
    async with working(settings, Tasks(by_name={"tests.never_ends": never_ends})):
        again = "SELECT count(*) FROM procrastinate_jobs WHERE attempts = 1 AND scheduled_at > now()"
        await comes_true(lambda: sql.execute(again).fetchone() == (1,))


async def test_hanging_mails_do_not_keep_other_jobs_waiting(
    platform: Platform, settings: Settings, sql: Sql
) -> None:
    log, released = Log(), asyncio.Event()

    async def hang(_platform: Platform) -> None:
        await released.wait()

    for _ in range(10):
        await add(platform, "tests.hang", queue=MAIL_QUEUE)
    async with working(settings, Tasks(by_name={"tests.hang": hang, "tests.log": log})):
        await comes_true(lambda: job_count(sql, "doing") == queue.CONCURRENCY)
        await add(platform, number=1)
        await comes_true(lambda: bool(log.calls))
        assert job_count(sql, "doing") >= queue.CONCURRENCY
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


async def test_what_runs_by_the_clock_runs_once_for_two_workers(
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


async def test_jobs_of_workers_that_were_killed_are_rescued(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker's row is gone, its worker is silent, or it lost its outcome while its worker lives on."""
    monkeypatch.setattr(queue, "REQUEUE_AFTER_SECONDS", 1.0)
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


async def test_a_worker_goes_on_when_the_database_is_back(
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
