"""How a run of a job ends, and what the log says of it."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from bugrelay.infra.jobs import back_off, execution, worker
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import JobLog, Log, Sql, add, job_count
from tests.infra.mail.postbox import comes_true, working


async def test_a_job_that_is_given_up_is_kept_for_a_while_and_logged_as_an_error(
    platform: Platform, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "MAX_ATTEMPTS", 1)
    log = Log(failures=9)
    await add(platform)
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql, "failed") == 1)
    assert len(log.calls) == 1
    assert [(line["event"], line["log_level"]) for line in job_log if line.get("task") == "tests.log"] == [
        ("job_failed", "warning"),
        ("job_given_up", "error"),
    ]


async def test_the_outcome_of_each_attempt_is_logged_with_the_request_id(
    platform: Platform, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    log = Log(failures=1)
    with structlog.contextvars.bound_contextvars(request_id="the one who asked"):
        await add(platform, number=1)
    async with working(settings, log.tasks):
        await comes_true(lambda: job_count(sql) == 0)
    told = [line for line in job_log if line.get("task") == "tests.log"]
    assert [(line["event"], line["attempt"]) for line in told] == [("job_failed", 1), ("job_done", 2)]
    assert all(line["request_id"] == "the one who asked" and line["ms"] >= 0 for line in told)
    assert log.calls == [{"number": 1}] * 2  # it is for the log, and no argument of the task


async def test_a_job_added_by_a_job_keeps_the_request_id(
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
    monkeypatch.setattr(execution, "JOB_SECONDS", 0.2)

    async def never_ends(_platform: Platform) -> None:
        await asyncio.sleep(3600)

    await add(platform, "tests.never_ends")
    async with working(settings, Tasks(by_name={"tests.never_ends": never_ends})):
        again = "SELECT count(*) FROM procrastinate_jobs WHERE attempts = 1 AND scheduled_at > now()"
        await comes_true(lambda: sql.execute(again).fetchone() == (1,))
