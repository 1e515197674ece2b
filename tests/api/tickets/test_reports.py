"""Reports of tickets: figures of what is there, as JSON and as CSV, for members and admins."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.tickets.tasks import count_days, fold_counts
from bugrelay.infra.platform import Platform
from tests.conftest import SignUp
from tests.factories import Person, make_member, put_project, put_ticket

Sql = psycopg.Connection[Any]
REPORTS = ("dashboard", "tickets-by-status", "tickets-by-priority", "tickets-by-department", "user-activity")
FORMULA = "=HYPERLINK(1)"


@pytest.fixture
async def reporter(sign_up: SignUp, sql: Sql, bug: dict[str, Any]) -> Person:
    person = await sign_up("rita")
    make_member(sql, person, bug["assigned_company_id"], role="reporter")
    return person


async def _create(client: httpx.AsyncClient, person: Person, **changes: Any) -> dict[str, Any]:
    response = await client.post(
        "/api/v1/tickets", json={"title": "A ticket", **changes}, headers=person.headers
    )
    assert response.status_code == 201, response.text
    return response.json()["ticket"]


async def _get(client: httpx.AsyncClient, person: Person, path: str, **params: Any) -> dict[str, Any]:
    response = await client.get(f"/api/v1/{path}", params=params, headers=person.headers)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_dashboard_shows_what_there_is(
    client: httpx.AsyncClient, platform: Platform, member: Person, others_member: Person, reporter: Person
) -> None:
    await _create(client, others_member, title="Of another company", priority="critical")
    first = await _create(client, member, priority="high", department=FORMULA, assigneeIds=[member.id])
    second = await _create(client, reporter, department="Sales")
    closed = {"status": "closed"}
    await client.patch(f"/api/v1/tickets/{second['key']}/status", json=closed, headers=member.headers)
    for _ in range(2):
        await count_days(platform)
        await fold_counts(platform)

    shown = (await _get(client, member, "reports/dashboard"))["dashboard"]
    assert shown["totals"] == {"total": 2, "todo": 1, "doing": 0, "done": 1}
    assert shown["byStatus"] == [
        {"status": "open", "category": "todo", "count": 1},
        {"status": "closed", "category": "done", "count": 1},
    ]
    assert [one["count"] for one in shown["byPriority"]] == [0, 1, 1, 0]
    assert {one["department"]: one["count"] for one in shown["byDepartment"]} == {FORMULA: 1, "Sales": 1}
    assert (shown["createdToday"], shown["closedToday"]) == (2, 1)
    assert 0 <= shown["medianHoursToClose"] < 1
    assert [one["key"] for one in shown["newest"]] == [second["key"], first["key"]]
    (today,) = shown["daily"]
    assert (today["totalIssues"], today["openIssues"], today["doneIssues"]) == (2, 1, 1)
    assert (today["highCount"], today["createdCount"], today["resolvedCount"]) == (1, 2, 1)

    nothing = (await _get(client, member, "reports/dashboard", projectId=member.id))["dashboard"]
    assert (nothing["totals"]["total"], nothing["newest"], nothing["daily"]) == (0, [], [])
    issues = (await _get(client, member, "stats/dashboard"))["stats"]
    assert (issues["total_issues"], issues["newest"], issues["daily"]) == (0, [], [])

    people = {one["username"]: one for one in (await _get(client, member, "reports/user-activity"))["users"]}
    assert set(people) == {member.username, reporter.username}
    mine = people[member.username]
    assert [mine[name] for name in ("created", "closed", "commented", "openAssigned")] == [1, 1, 0, 1]
    assert people[reporter.username]["created"] == 1


async def test_a_project_counts_the_tickets_that_its_reader_sees(
    client: httpx.AsyncClient, platform: Platform, member: Person, reporter: Person, others_member: Person
) -> None:
    await _create(client, others_member)
    mine = await _create(client, reporter)
    await _create(client, member, assigneeIds=[reporter.id])
    await _create(client, member)
    await fold_counts(platform)
    await _create(client, member)

    async def counts(person: Person) -> list[int]:
        return [one["ticketCount"] for one in (await _get(client, person, "projects"))["projects"]]

    assert (await counts(member), await counts(reporter), await counts(others_member)) == ([4], [2], [1])
    opened = {"visibility": "company"}
    path = f"/api/v1/projects/{mine['projectId']}"
    assert (await client.put(path, json=opened, headers=member.headers)).status_code == 200
    assert await counts(reporter) == [4]


async def test_counts_of_days_are_of_what_was_created_in_them(
    client: httpx.AsyncClient, sql: Sql, member: Person, bug: dict[str, Any]
) -> None:
    company_id = bug["assigned_company_id"]
    project_id = put_project(sql, company_id)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    for back in range(4):
        put_ticket(
            sql,
            company_id,
            project_id,
            reporter_id=member.id,
            created_at=day - timedelta(days=back, seconds=-1),
            department="Sales",
        )
    for params, count in (
        ({}, 4),
        ({"from": "2026-02-28"}, 2),
        ({"to": "2026-02-27"}, 2),
        ({"from": "2026-02-27", "to": "2026-02-28"}, 2),
        ({"from": "2026-03-01", "to": "2026-02-01"}, 0),
    ):
        for what in ("status", "priority", "department"):
            assert (await _get(client, member, f"reports/tickets-by-{what}", **params))["total"] == count


async def test_reports_come_as_csv_that_a_spreadsheet_does_not_run(
    client: httpx.AsyncClient, member: Person
) -> None:
    await _create(client, member, department=FORMULA)
    for report in REPORTS:
        response = await client.get(
            f"/api/v1/reports/{report}",
            headers={**member.headers, "Accept": "text/csv, application/json;q=0.5"},
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert "Accept" in response.headers["vary"]
        header, *rows = csv.reader(io.StringIO(response.text, newline=""))
        assert all(len(row) == len(header) for row in rows)
        if report == "tickets-by-department":
            assert (header, rows) == (["department", "count"], [["'" + FORMULA, "1"]])
        plain = await client.get(f"/api/v1/reports/{report}", headers={**member.headers, "Accept": "*/*"})
        assert plain.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("path", [*(f"reports/{report}" for report in REPORTS), "stats/dashboard"])
async def test_reporters_are_shown_no_figures(
    client: httpx.AsyncClient, member: Person, reporter: Person, path: str
) -> None:
    refused = await client.get(f"/api/v1/{path}", headers=reporter.headers)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-01-32"},
        {"from": "0001-01-01"},
        {"to": "9999-12-31"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": "2020-01-01", "to": "2026-02-01"},
        {"from": "yesterday"},
    ],
)
async def test_days_that_do_not_fit_are_refused(
    client: httpx.AsyncClient, member: Person, params: dict[str, str]
) -> None:
    for path in ("reports/dashboard", "reports/user-activity", "stats/dashboard"):
        response = await client.get(f"/api/v1/{path}", params=params, headers=member.headers)
        assert response.status_code == 400, (path, response.text)
