"""Daily statistics: the same rows whenever and however often they are counted, and those of a recount."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from bugrelay.domain.tickets.schemes import SCHEMES, Scheme
from bugrelay.domain.tickets.service.statistics import fill_daily_stats, stage_of
from bugrelay.domain.tickets.tasks import count_days
from bugrelay.infra.platform import Platform
from tests.factories import put_project

Sql = psycopg.Connection[Any]
FIRST = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAYS = 9
FIGURES = (
    "total_issues, open_issues, triaged_issues, in_progress_issues, done_issues, low_count, medium_count, high_count,"
    " critical_count, created_count, resolved_count"
)


class Story:
    """Changes of tickets in two projects of different schemes over some days, logged as the product logs them."""

    def __init__(self, sql: Sql) -> None:
        self.sql, self.now = sql, FIRST
        self.company_id = str(uuid4())
        sql.execute(
            "INSERT INTO companies (id, name, domain, verified) VALUES (%s, 'Paper', %s, true)",
            (self.company_id, f"d{self.company_id[:8]}.example"),
        )
        self.schemes = {
            put_project(sql, self.company_id, "TSK"): SCHEMES["tickets"],
            put_project(sql, self.company_id, "BUG", scheme="support"): SCHEMES["support"],
        }
        self.tickets: list[dict[str, Any]] = []
        self.told: list[tuple[datetime, dict[UUID, dict[str, Any]], UUID, str]] = []

    def tell(self, upto: datetime, draw: random.Random, events: int) -> None:
        """So many changes, at moments from the last call on up to the given one."""
        at, self.now = self.now, upto
        moments = sorted(at + (upto - at) * draw.random() for _ in range(events))
        for moment in moments:
            self._change(moment, draw)

    def _change(self, at: datetime, draw: random.Random) -> None:
        if not self.tickets or draw.random() < 0.3:
            self._create(at, draw)
            return
        ticket = draw.choice(self.tickets)
        if not ticket["listed"]:
            self._log(at, ticket, "ticket.restored", {}, listed=True)
            return
        scheme = self.schemes[ticket["project"]]
        status, priority = (
            draw.choice(list(scheme.statuses)),
            draw.choice(("low", "medium", "high", "critical")),
        )
        project = draw.choice(list(self.schemes))
        edited = [
            {"field": "priority", "from": ticket["priority"], "to": priority},
            {"field": "title", "is_long": True},
        ]
        moved = [{"field": "project_id", "from": str(ticket["project"]), "to": str(project)}]
        its = self.schemes[project].status_like(scheme.category_of(ticket["status"]))
        if its != ticket["status"]:
            moved.append({"field": "status", "from": ticket["status"], "to": its})
        match draw.randrange(5):
            case 0 | 1:
                category = scheme.category_of(status)
                told = {"from": ticket["status"], "to": status, "category": category}
                self._log(at, ticket, "ticket.status_changed", told, status=status)
            case 2:
                self._log(at, ticket, "ticket.changed", {"changes": edited}, priority=priority)
            case 3:
                self._log(at, ticket, "ticket.changed", {"changes": moved}, project=project, status=its)
            case 4:
                self._log(at, ticket, "ticket.removed", {}, listed=False)

    def _create(self, at: datetime, draw: random.Random) -> None:
        project = draw.choice(list(self.schemes))
        scheme = self.schemes[project]
        status = scheme.initial_status
        ticket = {"id": uuid4(), "project": project, "status": status, "priority": "medium", "listed": True}
        self.tickets.append(ticket)
        self._log(at, ticket, "ticket.created", {"status": status, "category": "todo", "priority": "medium"})

    def _log(
        self, at: datetime, ticket: dict[str, Any], kind: str, data: dict[str, Any], **changes: Any
    ) -> None:
        before = dict(ticket)
        ticket |= changes
        entry = {
            "stream": self.company_id,
            "type": kind,
            "at": at,
            "ticket_id": ticket["id"],
            "project_id": ticket["project"],
            "visibility": "tenant",
            "data": data,
            "cause": {"kind": "user", "chain": []},
        }
        self.sql.execute("SELECT log_events(%s::jsonb)", (msgspec.json.encode([entry]).decode(),))
        resolved = self._is_done(ticket) and not self._is_done(before) and kind != "ticket.created"
        self.told.append(
            (at, {one["id"]: dict(one) for one in self.tickets}, ticket["project"], f"{kind} {resolved}")
        )

    def _is_done(self, ticket: dict[str, Any]) -> bool:
        return self.schemes[ticket["project"]].category_of(ticket["status"]) == "done"

    def rows(self) -> dict[tuple[date, UUID], tuple[int, ...]]:
        found = self.sql.execute(
            f"SELECT date, project_id, {FIGURES} FROM daily_stats WHERE company_id = %s", (self.company_id,)
        ).fetchall()
        return {(day, project): tuple(figures) for day, project, *figures in found}

    def recount(self, upto: datetime) -> dict[tuple[date, UUID], tuple[int, ...]]:
        """The same statistics, computed from the events of the story."""
        expected: dict[tuple[date, UUID], tuple[int, ...]] = {}
        day = FIRST.date()
        while day <= upto.date():
            for project, scheme in self.schemes.items():
                figures = self._figures(day, project, scheme)
                if any(figures) or any(seen == project for (_, seen) in expected):
                    expected[day, project] = figures
            day += timedelta(days=1)
        return expected

    def _figures(self, day: date, project: UUID, scheme: Scheme) -> tuple[int, ...]:
        until = [state for at, state, _, _ in self.told if at.date() <= day]
        tickets = [
            one
            for one in (until[-1] if until else {}).values()
            if one["listed"] and one["project"] == project
        ]
        stages = [stage_of(scheme, one["status"]) for one in tickets]
        priorities = [one["priority"] for one in tickets]
        of_day = [what for at, _, its, what in self.told if at.date() == day and its == project]
        return (
            len(tickets),
            *(stages.count(stage) for stage in ("open", "triaged", "in_progress", "done")),
            *(priorities.count(priority) for priority in ("low", "medium", "high", "critical")),
            sum(what.startswith("ticket.created") for what in of_day),
            sum(what.endswith("True") for what in of_day),
        )


@pytest.fixture
def story(sql: Sql, empty_board: None) -> Story:
    return Story(sql)


async def _fill(platform: Platform, story: Story, moments: Sequence[datetime]) -> None:
    for moment in moments:
        await fill_daily_stats(platform.database, UUID(story.company_id), moment=moment)


@pytest.mark.parametrize("seed", range(3))
async def test_rows_are_those_of_a_recount(platform: Platform, story: Story, seed: int) -> None:
    """Computed every few hours, twice at once, and then not for days: always what the log contains by then."""
    draw, now = random.Random(seed), FIRST
    await _fill(platform, story, [now])
    assert story.rows() == {}
    end = FIRST + timedelta(days=DAYS)
    while now < end:
        now += timedelta(hours=draw.choice((1, 5, 13, 24, 70)))
        story.tell(now, draw, events=draw.randrange(1, 25))
        await _fill(platform, story, [now] * draw.randrange(1, 3))
        assert story.rows() == story.recount(now)


async def test_it_does_not_matter_when_and_how_often_days_are_counted(
    platform: Platform, story: Story
) -> None:
    end = FIRST + timedelta(days=4)
    story.tell(end, random.Random(5), events=60)
    await _fill(platform, story, [end])
    at_once = story.rows()
    # What was counted before anything was written down of the day's rest is counted again.
    story.sql.execute("DELETE FROM daily_stats; DELETE FROM daily_stats_days")
    await _fill(platform, story, [FIRST + timedelta(hours=7 * step) for step in range(15)])
    await _fill(platform, story, [end, end, end + timedelta(seconds=1)])
    assert story.rows() == at_once == story.recount(end)


async def test_a_day_that_was_counted_early_is_counted_to_its_end(platform: Platform, story: Story) -> None:
    noon = FIRST.replace(hour=12)
    story.tell(noon, random.Random(1), events=20)
    await _fill(platform, story, [noon])
    story.tell(FIRST.replace(hour=23, minute=59), random.Random(2), events=20)
    later = FIRST + timedelta(days=3)
    await _fill(platform, story, [later])
    assert story.rows() == story.recount(later)


async def test_the_job_counts_every_company(platform: Platform, sql: Sql, story: Story) -> None:
    other = Story(sql)
    now = datetime.now(UTC)
    for one in (story, other):
        one._create(now, random.Random(3))
    await count_days(platform)
    for one in (story, other):
        assert [figures[0] for figures in one.rows().values()] == [1]
