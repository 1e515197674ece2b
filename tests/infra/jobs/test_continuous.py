"""Tasks that run in each worker all the time: begun again when they fail, ended when the worker stops."""

from __future__ import annotations

import asyncio

import pytest

from bugrelay.infra.jobs import worker
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import JobLog
from tests.infra.mail.postbox import comes_true, working


async def test_a_failing_continuous_job_is_logged_once_and_restarted_until_the_worker_stops(
    settings: Settings, empty_board: None, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RESTART_SECONDS", 0.01)
    calls = []

    async def fails_twice(_platform: Platform, stopping: asyncio.Event) -> None:
        calls.append("begun")
        if calls.count("begun") < 3:
            raise RuntimeError("of its own")
        await stopping.wait()
        calls.append("ended")

    async with working(settings, Tasks(continuous={"tests.runs": fails_twice})):
        await comes_true(lambda: calls.count("begun") == 3)
        assert "ended" not in calls
    assert calls == ["begun", "begun", "begun", "ended"]
    lines = [line for line in job_log if line["event"] == "task_interrupted"]
    assert [line["task"] for line in lines] == ["tests.runs"]
