"""Tickets under many hands: numbers without gaps, one winner, no half of a change."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from uuid import UUID

import httpx
import psycopg
import pytest

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import NewTicket
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.infra.platform import Platform
from tests.conftest import SignUp
from tests.factories import Person, make_member
from tests.races.conftest import at_once

Sql = psycopg.Connection


@pytest.fixture
async def team(sign_up: SignUp, sql: Sql, bug: dict[str, str]) -> list[Person]:
    """Ten members and an admin, who comes last."""
    people = [await sign_up(f"member{number}") for number in range(11)]
    for place, person in enumerate(people):
        make_member(sql, person, bug["assigned_company_id"], role="admin" if place == 10 else "member")
    return people


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


class _ChangedTheirMind(Exception):
    pass


async def test_50_creates_at_once_of_which_10_are_rolled_back_leave_dense_numbers(
    client: httpx.AsyncClient, platform: Platform, team: list[Person], bug: dict[str, str], sql: Sql
) -> None:
    company_id = UUID(bug["assigned_company_id"])

    async def rolled_back(person: Person) -> None:
        tenant = Tenant(company_id, UUID(person.id), "member")
        with suppress(_ChangedTheirMind):
            async with platform.work() as work:
                await create_ticket(work, tenant, NewTicket(title="Not this one"))
                raise _ChangedTheirMind

    for turn in range(3):
        calls = [
            client.post("/api/v1/tickets", json={"title": f"{turn}"}, headers=team[number % 10].headers)
            for number in range(40)
        ]
        undone = [rolled_back(team[number]) for number in range(10)]
        mixed = [
            one
            for pair in zip(calls, [*undone, *[None] * 30], strict=True)
            for one in pair
            if one is not None
        ]
        answers = [one for one in await asyncio.gather(*mixed) if one is not None]
        assert statuses(answers) == {201: 40}
    numbers = sorted(
        number for (number,) in sql.execute("SELECT number FROM tickets ORDER BY number").fetchall()
    )
    assert numbers == list(range(1001, 1001 + 120))
    assert sql.execute("SELECT count(*) FROM projects").fetchone() == (1,)
    assert sql.execute("SELECT last_number FROM ticket_numbers").fetchall() == [(1120,)]


async def test_of_20_edits_for_one_version_one_is_done(
    client: httpx.AsyncClient, team: list[Person], sql: Sql
) -> None:
    made = await client.post("/api/v1/tickets", json={"title": "x"}, headers=team[0].headers)
    path = f"/api/v1/tickets/{made.json()['ticket']['key']}"
    for version in range(1, 6):
        answers = await at_once(
            client.put(
                path,
                json={"title": f"{version} by {number}"},
                headers=team[number % 10].headers | {"If-Match": f'"{version}"'},
            )
            for number in range(20)
        )
        assert statuses(answers) == {200: 1, 412: 19}
        (won,) = (answer.json()["ticket"] for answer in answers if answer.status_code == 200)
        lost = [answer.json()["details"] for answer in answers if answer.status_code == 412]
        assert {one["version"] for one in lost} == {version + 1} == {won["version"]}
        assert all(one["changedFields"] == ["title"] for one in lost)
    events = "SELECT version FROM events WHERE type = 'ticket.changed' ORDER BY seq"
    assert sql.execute(events).fetchall() == [(2,), (3,), (4,), (5,), (6,)]


async def test_moves_and_assignments_at_once_leave_one_story(
    client: httpx.AsyncClient, team: list[Person], sql: Sql
) -> None:
    """Each change finds the ticket as the one before has left it: what was there is what somebody had put there."""
    made = (await client.post("/api/v1/tickets", json={"title": "x"}, headers=team[0].headers)).json()[
        "ticket"
    ]
    project = await client.post("/api/v1/projects", json={"key": "WEB", "name": "x"}, headers=team[0].headers)
    projects = [made["projectId"], project.json()["project"]["id"]]
    path = f"/api/v1/tickets/{made['id']}"
    answers = await at_once(
        [
            *(
                client.put(path, json={"assigneeIds": [team[n].id, team[n + 1].id]}, headers=team[n].headers)
                for n in range(9)
            ),
            *(
                client.put(path, json={"projectId": projects[n % 2]}, headers=team[n].headers)
                for n in range(8)
            ),
        ]
    )
    assert statuses(answers) == {200: 17}
    ticket = (await client.get(path, headers=team[0].headers)).json()["ticket"]
    last: dict[str, object] = {"assignee_ids": [], "project_id": projects[0], "key": made["key"]}
    for (changes,) in sql.execute(
        "SELECT data -> 'changes' FROM events WHERE type = 'ticket.changed' ORDER BY seq"
    ):
        for change in changes:
            assert change["from"] == last[change["field"]]
            last[change["field"]] = change["to"]
    assert last == {
        "assignee_ids": [one["id"] for one in ticket["assignees"]],
        "project_id": ticket["projectId"],
        "key": ticket["key"],
    }
    rows = sql.execute(
        "SELECT key FROM projects JOIN ticket_numbers n ON n.project_id = projects.id"
    ).fetchall()
    assert len(rows) == 2
    gaps = """
        SELECT count(*) FROM ticket_numbers n JOIN projects p ON p.id = n.project_id
        WHERE last_number - 1000 <> (SELECT count(*) FROM ticket_keys k WHERE k.key LIKE p.key || '-%')
    """
    assert sql.execute(gaps).fetchone() == (0,)


async def test_a_project_that_is_archived_meanwhile_takes_no_ticket(
    client: httpx.AsyncClient, team: list[Person], sql: Sql
) -> None:
    for turn in range(5):
        key = f"P{turn}"
        made = await client.post("/api/v1/projects", json={"key": key, "name": key}, headers=team[0].headers)
        project_id = made.json()["project"]["id"]
        creating = [
            client.post(
                "/api/v1/tickets", json={"title": "x", "projectId": project_id}, headers=team[n].headers
            )
            for n in range(9)
        ]
        creating.insert(4, client.delete(f"/api/v1/projects/{key}", headers=team[10].headers))
        answers = await at_once(creating)
        archived = answers.pop(4)
        assert archived.status_code == 200
        assert set(statuses(answers)) <= {201, 409}
        later = sql.execute(
            "SELECT count(*) FROM events t JOIN events p ON p.stream = t.stream AND p.project_id = t.project_id"
            " AND p.data ->> 'action' = 'archived' AND t.seq > p.seq"
            " WHERE t.type = 'ticket.created' AND t.project_id = %s",
            (project_id,),
        )
        assert later.fetchone() == (0,)
        refused = await client.post(
            "/api/v1/tickets", json={"title": "x", "projectId": project_id}, headers=team[0].headers
        )
        assert refused.status_code == 409


async def test_comments_written_and_withdrawn_at_once_are_counted(
    client: httpx.AsyncClient, team: list[Person], sql: Sql
) -> None:
    made = await client.post("/api/v1/tickets", json={"title": "x"}, headers=team[0].headers)
    path = f"/api/v1/tickets/{made.json()['ticket']['key']}/comments"
    answers = await at_once(
        client.post(path, json={"content": "x", "isInternal": n % 2 == 0}, headers=team[n].headers)
        for n in range(10)
    )
    assert statuses(answers) == {201: 10}
    ids = [answer.json()["comment"]["id"] for answer in answers]
    answers = await at_once(
        client.delete(f"{path}/{ids[n % 4]}", headers=team[n % 4].headers) for n in range(12)
    )
    assert statuses(answers) == {200: 4, 404: 8}
    counted = "SELECT comment_count, internal_comment_count FROM tickets"
    rows = "SELECT count(*) FILTER (WHERE NOT is_internal), count(*) FILTER (WHERE is_internal)"
    shown = sql.execute(f"{rows} FROM ticket_comments WHERE removed_at IS NULL").fetchone()
    assert sql.execute(counted).fetchone() == shown == (3, 3)
