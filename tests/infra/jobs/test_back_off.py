"""Jobs that fail are tried again until they succeed or are given up."""

from __future__ import annotations

import pytest
from procrastinate.jobs import Job
from procrastinate.utils import utcnow

from bugrelay.infra.jobs import back_off, worker
from bugrelay.infra.jobs.back_off import BackOff
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.infra.jobs.log_task import Log, Sql, add, job_count
from tests.infra.mail.postbox import comes_true, working


async def test_a_failed_job_is_tried_again_until_it_succeeds(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
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
    for attempts in range(back_off.MAX_ATTEMPTS - 1):
        decision = BackOff().get_retry_decision(exception=RuntimeError(), job=job(attempts))
        assert decision is not None
        assert decision.retry_at is not None
        pauses.append((decision.retry_at - utcnow()).total_seconds())
    for attempts, pause in enumerate(pauses):
        least = min(5 * 2**attempts, 6 * 3600)
        assert least - 2 <= pause <= least * 1.25 + 1
    assert 20 * 3600 < sum(pauses) < 36 * 3600  # a server may be down over night
    given_up = BackOff().get_retry_decision(exception=RuntimeError(), job=job(back_off.MAX_ATTEMPTS - 1))
    assert given_up is None
