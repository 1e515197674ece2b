"""The users of a tenant: who sees and changes them, and what that changes at once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, make_member, report
from tests.responses import bad_fields, refused

KEYS = {"id", "email", "name", "username", "role", "avatar_url", "is_active", "created_at", "updated_at"}


class Users:
    """Calls on the users of one tenant, as one person."""

    def __init__(self, client: httpx.AsyncClient, person: Person, **headers: str) -> None:
        self._client = client
        self._headers = person.headers | headers

    async def list(self, **query: Any) -> httpx.Response:
        return await self._client.get("/api/v1/users", params=query, headers=self._headers)

    async def get(self, user_id: str) -> httpx.Response:
        return await self._client.get(f"/api/v1/users/{user_id}", headers=self._headers)

    async def change(self, user_id: str, **change: Any) -> httpx.Response:
        return await self._client.put(f"/api/v1/users/{user_id}", json=change, headers=self._headers)

    async def remove(self, user_id: str) -> httpx.Response:
        return await self._client.delete(f"/api/v1/users/{user_id}", headers=self._headers)


@pytest.fixture
def by_boss(client: httpx.AsyncClient, boss: Person) -> Users:
    return Users(client, boss)


@pytest.fixture
async def rex(sign_up: SignUp, sql: Sql, company: str, member: Person) -> Person:
    """A reporter of the company, with an address elsewhere."""
    person = await sign_up("rex", email="rex_1@customer.example")
    make_member(sql, person, company, role="reporter")
    sql.execute("UPDATE company_members SET email_key = %s WHERE user_id = %s", (person.email, person.id))
    sql.execute(
        "UPDATE users SET is_email_verified = true, display_name = 'Rex 100%%' WHERE id = %s", (person.id,)
    )
    return person


def found(response: httpx.Response) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.text
    return [(user["username"], user["role"]) for user in response.json()["users"]]


async def test_admins_list_users_by_what_they_are_and_are_called(
    by_boss: Users, rex: Person, sql: Sql
) -> None:
    answer = (await by_boss.list()).json()
    assert answer["pagination"]["total"] == 3
    assert all(set(user) == KEYS | {"company_role"} for user in answer["users"])
    assert [user["name"] for user in answer["users"]] == ["boss", "mae", "Rex 100%"]
    assert [user["company_role"] for user in answer["users"]] == ["admin", "member", "reporter"]
    assert "google_id" not in str(answer)
    assert found(await by_boss.list()) == [("boss", "admin"), ("mae", "manager"), ("rex", "user")]
    assert found(await by_boss.list(page=2, limit=2)) == [("rex", "user")]
    for name in ("manager", "MAINTAINER", "member"):
        assert found(await by_boss.list(role=name)) == [("mae", name)]
    for text in ("100%", "EX_1@CUST", "reX"):
        assert found(await by_boss.list(search=text)) == [("rex", "user")]
    assert found(await by_boss.list(search="a_e")) == []
    sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (rex.id,))
    assert found(await by_boss.list(is_active=False)) == [("rex", "user")]
    assert len(found(await by_boss.list(is_active=True))) == 2
    assert bad_fields(await by_boss.list(role="owner", is_active="maybe")) == ["is_active", "role"]


async def test_a_profile_has_more_for_members_of_the_tenant(
    client: httpx.AsyncClient, by_boss: Users, boss: Person, member: Person, rex: Person, other_boss: Person
) -> None:
    more = KEYS | {"company_role"}
    by_member, by_rex = Users(client, member), Users(client, rex)
    for users, person in ((by_boss, rex), (by_member, rex), (by_member, boss), (by_rex, rex)):
        shown = (await users.get(person.id)).json()["user"]
        assert set(shown) == more | {"display_name", "bug_count", "vote_count", "comment_count"}
        assert shown["email"] == person.email
    hidden = (
        await client.get(f"/api/v1/users/{rex.id}"),
        await Users(client, other_boss).get(rex.id),
        await by_boss.get(other_boss.id),
        await by_rex.get(boss.id),  # a customer is not told the team's addresses, nor another customer's
        await Users(client, boss, **{"X-Company-ID": "ink.example"}).get(rex.id),
    )
    for response in hidden:
        assert response.status_code == 200, response.text
        assert "email" not in response.json()["user"]
        assert "role" not in response.json()["user"]


async def test_everybody_changes_their_own_name_and_picture_and_nobody_anothers(
    client: httpx.AsyncClient, by_boss: Users, member: Person, rex: Person, ada: Person
) -> None:
    picture = "https://pictures.example/a.png"
    for person in (rex, ada):
        users = Users(client, person)
        changed = await users.change(person.id, name="Another", avatar_url=picture)
        assert changed.status_code == 200, changed.text
        user = changed.json()["user"]
        assert (user["display_name"], user["avatar_url"]) == ("Another", picture)
        refused(await users.change(member.id, name="Mine"), *_refusal_of(person, rex))
    refused(await by_boss.change(rex.id, name="Mine"), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await Users(client, rex).change(rex.id, role="admin"), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await Users(client, ada).change(ada.id, role="admin"), 404, "COMPANY_NOT_FOUND")
    half = await Users(client, member).change(member.id, name="Half done", is_active=True)
    refused(half, 403, "INSUFFICIENT_PERMISSIONS")
    assert (await by_boss.get(member.id)).json()["user"]["name"] == "mae"
    assert bad_fields(await by_boss.change(rex.id, avatar_url="x", is_active=3)) == [
        "avatar_url",
        "is_active",
    ]


def _refusal_of(person: Person, reporter: Person) -> tuple[int, str]:
    return (403, "INSUFFICIENT_PERMISSIONS") if person is reporter else (404, "COMPANY_NOT_FOUND")


async def test_a_deactivated_user_has_no_rights_from_the_next_request_on(
    client: httpx.AsyncClient, by_boss: Users, company: str, member: Person
) -> None:
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    dashboard = f"/api/v1/companies/{company}/dashboard"
    for is_active, status in ((False, 403), (True, 200)):
        changed = await by_boss.change(member.id, is_active=is_active)
        assert changed.json()["user"]["is_active"] is is_active
        assert (await client.get(dashboard, headers=member.headers)).status_code == status
        answered = await client.patch(
            f"/api/v1/bugs/{bug['id']}/status", json={"status": "fixed"}, headers=member.headers
        )
        assert answered.status_code == status
        public = (await client.get(f"/api/v1/companies/{company}")).json()["company"]["members"]
        assert (member.id in str(public)) is is_active
    refused(await Users(client, member).change(member.id, is_active=False), 403, "INSUFFICIENT_PERMISSIONS")


async def test_a_reporter_becomes_a_member_only_with_an_address_at_the_domain(
    by_boss: Users, rex: Person, member: Person
) -> None:
    refused(await by_boss.change(rex.id, role="MAINTAINER"), 400, "INVALID_DOMAIN")
    changed = await by_boss.change(member.id, role="REPORTER")
    assert (changed.json()["user"]["role"], changed.json()["user"]["company_role"]) == (
        "REPORTER",
        "reporter",
    )
    changed = await by_boss.change(member.id, role="admin")
    assert changed.json()["user"]["role"] == "admin"


async def test_a_company_keeps_an_active_admin(
    client: httpx.AsyncClient, by_boss: Users, boss: Person, member: Person, company: str, sql: Sql
) -> None:
    for change in ({"is_active": False}, {"role": "user"}, {"role": "manager", "is_active": False}):
        refused(await by_boss.change(boss.id, **change), 409, "LAST_ADMIN")
    refused(await by_boss.remove(boss.id), 409, "LAST_ADMIN")
    await by_boss.change(member.id, role="admin", is_active=False)
    refused(await by_boss.remove(boss.id), 409, "LAST_ADMIN")
    await by_boss.change(member.id, is_active=True)
    assert (await by_boss.change(boss.id, is_active=False)).status_code == 200
    refused(await by_boss.list(), 404, "COMPANY_NOT_FOUND")
    refused(await Users(client, member).remove(member.id), 409, "LAST_ADMIN")


async def test_two_admins_who_deactivate_each_other_or_themselves_leave_one(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, sql: Sql, rounds: int
) -> None:
    sql.execute("UPDATE company_members SET role = 'admin'")
    admins = (boss, member)
    for round_ in range(rounds):
        targets = admins if round_ % 2 else admins[::-1]
        answers = await asyncio.gather(
            *(
                Users(client, actor).change(target.id, is_active=False)
                for actor, target in zip(admins, targets, strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers)[0] == 200
        assert {answer.status_code for answer in answers} - {200} <= {404, 409}
        (active,) = sql.execute("SELECT count(*) FROM company_members WHERE is_active").fetchone() or ()
        assert active == 1
        sql.execute("UPDATE company_members SET is_active = true")


async def test_who_was_a_member_yesterday_has_no_rights_and_keeps_the_account(
    client: httpx.AsyncClient, by_boss: Users, member: Person, rex: Person, ada: Person
) -> None:
    refused(await Users(client, member).remove(rex.id), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await Users(client, rex).remove(member.id), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await by_boss.remove(ada.id), 404, "USER_NOT_FOUND")
    refused(await by_boss.change(ada.id, role="user"), 404, "USER_NOT_FOUND")
    for removed in (await by_boss.remove(member.id), await Users(client, rex).remove(rex.id)):
        assert removed.status_code == 200, removed.text
    for person in (member, rex):
        refused(await Users(client, person).list(), 404, "COMPANY_NOT_FOUND")
        refused(await by_boss.change(person.id, is_active=True), 404, "USER_NOT_FOUND")
        signed_in = await client.post(
            "/api/v1/auth/login", json={"email": person.email, "password": PASSWORD}
        )
        assert signed_in.status_code == 200, signed_in.text
    assert found(await by_boss.list()) == [("boss", "admin")]


async def test_an_export_has_ones_tickets_while_one_belongs_to_the_company(
    client: httpx.AsyncClient, by_boss: Users, member: Person
) -> None:
    """What somebody wrote for a company that they have left is the company's; internal words are its team's."""
    made = await client.post("/api/v1/tickets", json={"title": "The press is loud"}, headers=member.headers)
    assert made.status_code == 201, made.text
    comments = f"/api/v1/tickets/{made.json()['ticket']['id']}/comments"
    said = await client.post(
        comments, json={"content": "It is the bearing", "isInternal": True}, headers=member.headers
    )
    assert said.status_code == 201, said.text

    async def exported() -> tuple[int, int]:
        document = (await client.get("/api/v1/users/me/export", headers=member.headers)).json()
        return len(document["tickets"]), len(document["ticket_comments"])

    assert await exported() == (1, 1)
    await by_boss.change(member.id, role="user")
    assert await exported() == (1, 0)
    await by_boss.remove(member.id)
    assert await exported() == (0, 0)


async def test_each_change_of_a_membership_is_an_event_for_the_tenant_only(
    by_boss: Users, company: str, boss: Person, rex: Person, sql: Sql
) -> None:
    for change in ({"is_active": False}, {"is_active": False}, {"is_active": True, "role": "reporter"}):
        await by_boss.change(rex.id, **change)
    await by_boss.remove(rex.id)
    rows = sql.execute(
        "SELECT data, visibility, actor_id::text FROM events WHERE stream = %s AND type = 'member.changed'"
        " ORDER BY seq",
        (company,),
    ).fetchall()
    assert [data["change"] for data, *_ in rows] == ["deactivated", "activated", "left"]
    assert {data["user_id"] for data, *_ in rows} == {rex.id}
    assert {tuple(rest) for _, *rest in rows} == {("tenant", boss.id)}
