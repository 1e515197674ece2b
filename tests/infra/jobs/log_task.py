"""A task that writes down its calls, and the jobs that wait for it."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import psycopg

from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform

Sql = psycopg.Connection[Any]
JobLog = Sequence[MutableMapping[str, Any]]


class Log:
    """A task that logs its arguments, and fails a given number of times."""

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
