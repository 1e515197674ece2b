"""Work that nobody waits for may take longer than a request, and leaves no longer deadline behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from bugrelay.bootstrap import build
from bugrelay.errors import ServiceUnavailable
from bugrelay.settings import Settings


async def test_patient_work_outlasts_the_deadlines_of_requests_which_hold_again_afterwards(
    settings: Settings,
) -> None:
    platform = build(replace(settings, database_pool=9))  # the same connection both times
    try:
        async with platform.work() as work:
            await work.set_timeouts(statement_seconds=10, lock_seconds=5)
            await work.session.execute(text("SELECT pg_sleep(4)"))
        with pytest.raises(ServiceUnavailable):
            async with platform.work() as work:
                await work.session.execute(text("SELECT pg_sleep(4)"))
    finally:
        await platform.close()
