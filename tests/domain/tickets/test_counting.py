"""Totals of many tickets: counted by a job, found by every process, and exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import TicketQuery
from bugrelay.domain.tickets.search.service import list_tickets
from bugrelay.domain.tickets.tasks import count_total, keep_totals
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Query, Reader, RowT, Values
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.domain.tickets.test_search import Company, expected_rows
from tests.factories import put_ticket

Sql = psycopg.Connection[Any]


class Watched(Reader):
    """A reader, and whether it has counted documents."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.counted = False

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        self.counted |= "count(*)" in query.sql
        return await self._reader.rows(query, values)


async def _total(platform: Platform, tenant: Tenant, **wanted: Any) -> tuple[int, bool]:
    """The total of a list, and whether its reader counted."""
    reader = Watched(platform.database)
    query = TicketQuery(**wanted)
    page = await list_tickets(reader, platform.counts, tenant, query=query)
    return page.pagination.total, reader.counted


class TooSlow(Reader):
    """A reader on which counting documents takes longer than a statement may, so many times."""

    def __init__(self, reader: Reader, times: int) -> None:
        self._reader = reader
        self.times = times

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        if "count(*)" in query.sql and self.times:
            self.times -= 1
            raise psycopg.errors.QueryCanceled
        return await self._reader.rows(query, values)


@pytest.mark.parametrize("role", ["member", "reporter"])
async def test_a_total_that_takes_too_long_is_estimated_and_said_to_be_until_somebody_has_counted(
    platform: Platform, sql: Sql, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(incremental_counts, "MAX_COUNTED_HERE", 3)
    company = Company(sql, 40)
    sql.execute("ANALYZE ticket_search")
    tenant = company.tenant(role)
    cases: tuple[dict[str, Any], ...] = (
        {"q": "crash"},
        {"q": "login", "category": "todo"},
        {"q": "upload", "sort": "oldest"},
    )
    for wanted in cases:
        query = TicketQuery(**wanted, limit=2)
        hurried = TooSlow(platform.database, times=1)
        monkeypatch.setattr(incremental_counts, "GIVEN_UP_SECONDS", 3600)
        estimated = [await list_tickets(hurried, platform.counts, tenant, query=query) for _ in range(2)]
        long = [TicketQuery(**wanted, limit=100, page=number) for number in (1, 2)]
        ends_here, beyond = [await list_tickets(hurried, platform.counts, tenant, query=one) for one in long]
        monkeypatch.setattr(incremental_counts, "GIVEN_UP_SECONDS", 0)
        exact = await list_tickets(hurried, platform.counts, tenant, query=query)
        assert hurried.times == 0
        assert not exact.pagination.total_is_estimated
        for page in estimated:
            assert page.pagination.total_is_estimated
            assert page.tickets == exact.tickets
            assert page.pagination.next_cursor == exact.pagination.next_cursor
            assert len(page.tickets) < page.pagination.total <= len(company.rows)
        # A page that the list ends on tells the total, and an empty one that there is no more before it.
        assert not ends_here.pagination.total_is_estimated
        assert ends_here.pagination.total == len(ends_here.tickets) == exact.pagination.total
        assert beyond.tickets == []
        assert beyond.pagination.total <= 100  # as many as the page before has room for


@pytest.mark.parametrize("role", ["member", "reporter"])
async def test_a_common_word_is_counted_by_the_job_and_carried_forward(
    settings: Settings, platform: Platform, sql: Sql, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(incremental_counts, "MAX_COUNTED_HERE", 3)
    company = Company(sql, 40)
    sql.execute("ANALYZE ticket_search")
    wanted = {"q": "crash"}
    tenant = company.tenant(role)
    there = len(expected_rows(company, tenant, TicketQuery(q="crash")))
    asked: list[str] = []

    async def ask(job: str, key: str) -> bool:
        asked.append(job)
        await count_total(platform, key=key)
        return True

    monkeypatch.setattr(platform.counts, "_ask", ask)
    assert await _total(platform, tenant, **wanted) == (there, False)
    assert asked == ["tickets.count_total"]
    put_ticket(
        sql, company.id, company.projects[0], reporter_id=company.people[0], title="Crash again", key="OPN-7"
    )
    await keep_totals(platform)
    sql.execute("TRUNCATE ticket_search_changes")  # all of it is in the kept totals now
    another = build(settings)
    await another.start()
    try:
        assert await _total(another, tenant, **wanted) == (there + 1, False)
    finally:
        await another.close()
