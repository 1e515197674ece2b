"""Jobs are rows of the caller's transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import text

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import Log, Sql, job_count
from tests.infra.mail.postbox import comes_true, working


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
