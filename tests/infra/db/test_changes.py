"""Nothing was written between two moments that the detector returns."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg

from bugrelay.infra.db.changes import ChangeDetector
from bugrelay.infra.platform import Platform

Sql = psycopg.Connection[Any]


class Detected:
    """The results of a detector: two moments each."""

    def __init__(self, platform: Platform) -> None:
        self.periods: list[tuple[float, float]] = []
        self._detector = ChangeDetector(platform.database, lambda *period: self.periods.append(period))

    async def period_until_after(self, moment: float) -> tuple[float, float]:
        """The first period that ends after a moment."""
        async with asyncio.timeout(30):
            while True:
                self._detector.check_soon()
                for since, until in self.periods:
                    if until > moment:
                        return since, until
                await asyncio.sleep(0.01)


async def test_a_period_begins_after_the_last_commit(platform: Platform, sql: Sql) -> None:
    detected = Detected(platform)
    began = time.monotonic()
    since, until = await detected.period_until_after(began)
    assert began < since < until
    written = time.monotonic()
    sql.execute("UPDATE bug_search_era SET era = gen_random_uuid()")
    since, _ = await detected.period_until_after(written)
    assert since > written
    again, _ = await detected.period_until_after(time.monotonic())
    assert again == since


async def test_a_transaction_that_began_long_ago_ends_the_period_by_its_commit(
    platform: Platform, database_url: str
) -> None:
    detected = Detected(platform)
    with psycopg.connect(database_url) as slow:
        slow.execute("UPDATE bug_search_era SET era = gen_random_uuid()")
        await detected.period_until_after(time.monotonic())  # it shows nothing yet
        slow.commit()
        committed = time.monotonic()
        since, _ = await detected.period_until_after(committed)
    assert since > committed
