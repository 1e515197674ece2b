"""The dashboard of a company: whose it is, and that its figures are true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import Person, make_member, report
from tests.responses import refused

PAPER = {"application_name": "Paper", "application_url": "https://app.paper.example"}


async def dashboard(client: httpx.AsyncClient, person: Person, company: str) -> dict[str, Any]:
    response = await client.get(f"/api/v1/companies/{company}/dashboard", headers=person.headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_members_see_it_and_nobody_else(
    client: httpx.AsyncClient,
    company: str,
    boss: Person,
    member: Person,
    ada: Person,
    other_boss: Person,
    root: Person,
) -> None:
    assert (await dashboard(client, boss, company))["user_role"] == "admin"
    assert (await dashboard(client, member, company))["user_role"] == "member"
    path = f"/api/v1/companies/{company}/dashboard"
    refused(await client.get(path), 401, "AUTH_REQUIRED")
    for stranger in (ada, other_boss, root):
        refused(await client.get(path, headers=stranger.headers), 403, "NOT_MEMBER")
    nowhere = "/api/v1/companies/00000000-0000-7000-8000-000000000000/dashboard"
    refused(await client.get(nowhere, headers=boss.headers), 404, "COMPANY_NOT_FOUND")


async def test_a_company_without_bugs_has_no_medians_and_no_share(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person
) -> None:
    sql.execute("UPDATE bugs SET removed_at = now()")
    shown = await dashboard(client, boss, company)
    assert set(shown) == {
        "company", "user_role", "bug_stats", "recent_bugs", "response_stats", "votes_30d", "oldest_unanswered",
    }  # fmt: skip
    assert shown["bug_stats"] == {"total": 0, "open": 0, "reviewing": 0, "fixed": 0, "wont_fix": 0}
    assert shown["response_stats"] == {
        "median_hours_to_first_response": None,
        "median_hours_to_resolution": None,
        "answered_share": None,
    }
    assert (shown["recent_bugs"], shown["oldest_unanswered"], shown["votes_30d"]) == ([], [], 0)


async def test_recent_are_the_ten_newest_and_unanswered_the_five_oldest(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, ada: Person
) -> None:
    (first,) = (await client.get("/api/v1/bugs")).json()["bugs"]
    bugs = [first["id"]] + [(await report(client, **PAPER))["id"] for _ in range(12)]
    await report(client, application_name="Ink", application_url="https://ink.example")
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bugs[12],))
    sql.execute("UPDATE bugs SET status = 'fixed', resolved_at = now() WHERE id = %s", (bugs[1],))
    answered = await client.post(
        f"/api/v1/bugs/{bugs[0]}/comments", json={"content": "We see it"}, headers=boss.headers
    )
    await client.post(f"/api/v1/bugs/{bugs[2]}/comments", json={"content": "Me too"}, headers=ada.headers)

    shown = await dashboard(client, boss, company)
    assert [one["id"] for one in shown["recent_bugs"]] == bugs[11:1:-1]
    listed = (await client.get("/api/v1/bugs", headers=boss.headers)).json()["bugs"]
    assert shown["recent_bugs"][0] in listed
    assert [one["id"] for one in shown["oldest_unanswered"]] == bugs[2:7]

    comment = f"/api/v1/comments/{answered.json()['comment']['id']}"
    assert (await client.delete(comment, headers=boss.headers)).status_code == 200
    shown = await dashboard(client, boss, company)
    assert [one["id"] for one in shown["oldest_unanswered"]] == [bugs[0], *bugs[2:6]]


async def test_response_times_are_medians_in_hours_over_visible_bugs(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person
) -> None:
    (first,) = (await client.get("/api/v1/bugs")).json()["bugs"]
    bugs = [first["id"]] + [(await report(client, **PAPER))["id"] for _ in range(4)]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    sql.execute("UPDATE bugs SET created_at = %s", (start,))
    for bug_id, hours in zip(bugs, (1, 2, 30, 100), strict=False):
        for later in (0, 5):
            said = await client.post(
                f"/api/v1/bugs/{bug_id}/comments", json={"content": "On it"}, headers=boss.headers
            )
            sql.execute(
                "UPDATE comments SET created_at = %s WHERE id = %s",
                (start + timedelta(hours=hours + later), said.json()["comment"]["id"]),
            )
    for bug_id, hours in zip(bugs, (10, 20, 60), strict=False):
        sql.execute(
            "UPDATE bugs SET status = 'fixed', resolved_at = %s WHERE id = %s",
            (start + timedelta(hours=hours), bug_id),
        )
    stats = (await dashboard(client, boss, company))["response_stats"]
    assert stats == {
        "median_hours_to_first_response": 16.0,
        "median_hours_to_resolution": 20.0,
        "answered_share": pytest.approx(0.8),
    }
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bugs[3],))
    stats = (await dashboard(client, boss, company))["response_stats"]
    assert stats["median_hours_to_first_response"] == 2.0
    assert stats["answered_share"] == pytest.approx(0.75)


async def test_votes_of_thirty_days_are_counted_ones_on_the_companys_visible_bugs(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, sign_up: SignUp
) -> None:
    (first,) = (await client.get("/api/v1/bugs")).json()["bugs"]
    second = await report(client, **PAPER)
    elsewhere = await report(client, application_name="Ink", application_url="https://ink.example")
    people = [await sign_up(f"voter{n}") for n in range(4)]
    for person in people:
        for bug_id in (first["id"], second["id"], elsewhere["id"]):
            await client.post(f"/api/v1/bugs/{bug_id}/vote", headers=person.headers)
    assert (await dashboard(client, boss, company))["votes_30d"] == 8
    sql.execute("UPDATE bug_votes SET counted = false WHERE user_id = %s", (people[0].id,))
    assert (await dashboard(client, boss, company))["votes_30d"] == 6
    sql.execute(
        "UPDATE bug_votes SET created_at = now() - interval '31 days' WHERE user_id = %s AND bug_id = %s",
        (people[1].id, first["id"]),
    )
    assert (await dashboard(client, boss, company))["votes_30d"] == 5
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (second["id"],))
    assert (await dashboard(client, boss, company))["votes_30d"] == 2


async def test_what_one_company_sees_is_its_own(
    client: httpx.AsyncClient, sql: Sql, company: str, other_boss: Person, ada: Person
) -> None:
    make_member(sql, ada, company)
    for person, domain in ((ada, "paper.example"), (other_boss, "ink.example")):
        mine = (await client.get("/api/v1/users/me", headers=person.headers)).json()["user"][
            "company_memberships"
        ]
        shown = await dashboard(client, person, mine[0]["company_id"])
        assert shown["company"]["domain"] == domain
        assert shown["bug_stats"]["total"] == 1
        assert {one["assigned_company"]["domain"] for one in shown["recent_bugs"]} == {domain}
