"""The team: who sees it, who changes it, and that it always keeps an admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.companies.schemas import ChangeCompany
from bugrelay.domain.companies.service import claims
from bugrelay.domain.companies.service import team as team_service
from bugrelay.domain.companies.service.assignment import link_application
from bugrelay.domain.companies.service.profile import change_company
from bugrelay.errors import AccountBanned
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import Viewer
from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp, StartApp
from tests.factories import PASSWORD, Person, make_member, register, report
from tests.responses import bad_fields, refused

NOBODY = "00000000-0000-7000-8000-000000000000"


class Team:
    """Calls on the team of one company, as one person."""

    def __init__(self, client: httpx.AsyncClient, company: str, person: Person) -> None:
        self._client = client
        self._path = f"/api/v1/companies/{company}/members"
        self._headers = person.headers

    async def list(self, **query: Any) -> httpx.Response:
        return await self._client.get(self._path, params=query, headers=self._headers)

    async def add(self, email: str, role: str = "member") -> httpx.Response:
        return await self._client.post(self._path, json={"email": email, "role": role}, headers=self._headers)

    async def change(self, user_id: str, role: str) -> httpx.Response:
        return await self._client.patch(f"{self._path}/{user_id}", json={"role": role}, headers=self._headers)

    async def remove(self, user_id: str) -> httpx.Response:
        return await self._client.request(
            "DELETE", self._path, json={"user_id": user_id}, headers=self._headers
        )


async def test_members_see_the_team_with_its_addresses(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person
) -> None:
    answer = (await Team(client, company, member).list()).json()
    assert answer["pagination"]["total"] == 2
    first, second = answer["members"]
    assert set(first) == {"id", "company_id", "user_id", "role", "added_at", "user"}
    assert (first["company_id"], first["user_id"], first["role"]) == (company, boss.id, "admin")
    assert second["user"] == {"id": member.id, "username": "mae", "email": "mae@paper.example"}
    page = (await Team(client, company, member).list(page=2, limit=1)).json()
    assert page["members"] == [second]


async def test_a_team_is_shown_to_its_members_only(
    client: httpx.AsyncClient, company: str, boss: Person, ada: Person, other_boss: Person, root: Person
) -> None:
    for stranger in (ada, other_boss, root):
        team = Team(client, company, stranger)
        refused(await team.list(), 403, "NOT_MEMBER")
        refused(await team.add("mae@paper.example"), 403, "NOT_MEMBER")
        refused(await team.change(boss.id, "member"), 403, "NOT_MEMBER")
        refused(await team.remove(boss.id), 403, "NOT_MEMBER")
    anonymous = await client.get(f"/api/v1/companies/{company}/members")
    refused(anonymous, 401, "AUTH_REQUIRED")
    refused(await Team(client, NOBODY, boss).list(), 404, "COMPANY_NOT_FOUND")


async def test_an_admin_adds_a_registered_user_with_an_address_at_the_domain(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, sign_up: SignUp
) -> None:
    ida = await sign_up("ida", email="ida@paper.example")
    sql.execute("UPDATE users SET is_email_verified = true WHERE username = 'ida'")
    team = Team(client, company, boss)
    added = await team.add("IDA@paper.example")
    assert added.status_code == 201
    assert added.json()["member"]["user"] == {"id": ida.id, "username": "ida", "email": "ida@paper.example"}
    assert added.json()["member"]["role"] == "member"
    assert (await Team(client, company, ida).list()).status_code == 200
    refused(await team.add("ida@paper.example", "admin"), 409, "ALREADY_MEMBER")


async def test_only_addresses_at_exactly_the_proven_domain_are_added(
    client: httpx.AsyncClient, company: str, boss: Person, ada: Person, sign_up: SignUp
) -> None:
    await sign_up("sub", email="sub@mail.paper.example")
    team = Team(client, company, boss)
    for email in (ada.email, "sub@mail.paper.example", "nobody@gmail.com"):
        refused(await team.add(email), 400, "INVALID_DOMAIN")
    refused(await team.add("nobody@paper.example"), 404, "USER_NOT_FOUND")


async def test_where_addresses_must_be_verified_a_member_has_proven_theirs(
    start_app: StartApp, sql: Sql
) -> None:
    async with start_app(require_verified_email=True) as client:
        company = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
        boss = await register(client, "boss", email="boss@paper.example")
        make_member(sql, boss, company, role="admin")
        ida = await register(client, "ida", email="ida@paper.example")
        assert (await Team(client, company, boss).add("ida@paper.example")).status_code == 201
        refused(await Team(client, company, ida).list(), 403, "NOT_MEMBER")
        sql.execute("UPDATE users SET is_email_verified = true WHERE username = 'ida'")
        assert (await Team(client, company, ida).list()).status_code == 200


async def test_a_member_who_is_no_admin_changes_nobody_but_may_leave(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person
) -> None:
    team = Team(client, company, member)
    refused(await team.add("boss@paper.example"), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await team.change(member.id, "admin"), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await team.remove(boss.id), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await team.remove(member.id)).status_code == 200
    refused(await team.list(), 403, "NOT_MEMBER")


async def test_an_admin_changes_roles_and_removes_members(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person
) -> None:
    team = Team(client, company, boss)
    promoted = await team.change(member.id, "admin")
    assert (promoted.status_code, promoted.json()["member"]["role"]) == (200, "admin")
    assert (await Team(client, company, member).change(boss.id, "member")).status_code == 200
    refused(await team.change(member.id, "member"), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await Team(client, company, member).remove(boss.id)).status_code == 200
    refused(await team.list(), 403, "NOT_MEMBER")


async def test_the_last_admin_neither_leaves_nor_steps_down(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, member: Person
) -> None:
    team = Team(client, company, boss)
    refused(await team.remove(boss.id), 409, "LAST_ADMIN")
    refused(await team.change(boss.id, "member"), 409, "LAST_ADMIN")
    assert (await team.change(boss.id, "admin")).status_code == 200
    await team.change(member.id, "admin")
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (member.id,))
    refused(await team.remove(boss.id), 409, "LAST_ADMIN")
    assert (await team.remove(member.id)).status_code == 200


async def test_who_is_no_member_can_be_neither_changed_nor_removed(
    client: httpx.AsyncClient, company: str, boss: Person, ada: Person
) -> None:
    team = Team(client, company, boss)
    for user_id in (ada.id, NOBODY):
        refused(await team.change(user_id, "admin"), 404, "MEMBER_NOT_FOUND")
        refused(await team.remove(user_id), 404, "MEMBER_NOT_FOUND")
    refused(await team.change("mae", "admin"), 400, "INVALID_ID")


async def test_what_a_change_of_the_team_must_say(
    client: httpx.AsyncClient, company: str, boss: Person
) -> None:
    team = Team(client, company, boss)
    assert bad_fields(await team.add("nobody", "owner")) == ["email", "role"]
    assert bad_fields(await team.change(boss.id, "owner")) == ["role"]
    assert bad_fields(await team.remove("mae")) == ["user_id"]
    path = f"/api/v1/companies/{company}/members"
    assert bad_fields(await client.post(path, json={}, headers=boss.headers)) == ["email", "role"]
    bare = await client.request("DELETE", path, headers=boss.headers)
    assert bad_fields(bare) == ["body"]


async def test_losing_verification_suspends_rights_until_it_is_verified_again(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, member: Person
) -> None:
    bug = await report(
        client,
        application_name="Paper",
        application_url="https://app.paper.example",
        contact_email="rita@people.example",
    )
    bug_path = f"/api/v1/bugs/{bug['id']}"

    async def sight_and_rights() -> tuple[bool, int, int, int]:
        shown = (await client.get(bug_path, headers=member.headers)).json()["bug"]
        changed = await client.patch(
            f"{bug_path}/status", json={"status": "reviewing"}, headers=member.headers
        )
        dashboard = await client.get(f"/api/v1/companies/{company}/dashboard", headers=member.headers)
        team = await Team(client, company, boss).list()
        return "contact_email" in shown, changed.status_code, dashboard.status_code, team.status_code

    assert await sight_and_rights() == (True, 200, 200, 200)
    sql.execute("UPDATE companies SET verified = false, verified_at = NULL WHERE id = %s", (company,))
    assert await sight_and_rights() == (False, 403, 403, 403)
    refused(await Team(client, company, boss).add("ida@paper.example"), 403, "NOT_MEMBER")
    public = (await client.get(f"/api/v1/companies/{company}", headers=boss.headers)).json()["company"]
    assert public["members"] == []
    sql.execute("UPDATE companies SET verified = true, verified_at = now() WHERE id = %s", (company,))
    assert await sight_and_rights() == (True, 200, 200, 200)


@pytest.mark.parametrize("role", ["admin", "member"])
async def test_an_erased_account_is_on_no_team(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, role: str
) -> None:
    await Team(client, company, boss).change(member.id, role)
    erased = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=member.headers
    )
    assert erased.status_code == 200
    public = (await client.get(f"/api/v1/companies/{company}", headers=boss.headers)).json()["company"]
    assert [one["user"]["username"] for one in public["members"]] == ["boss"]


async def test_a_ban_after_the_guard_still_stops_the_change(
    sql: Sql, company: str, boss: Person, member: Person, platform: Platform
) -> None:
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (boss.id,))
    company_id, boss_id, member_id = UUID(company), UUID(boss.id), UUID(member.id)
    application_id = new_id()
    changes: list[Callable[[UnitOfWork], Awaitable[Any]]] = [
        lambda work: team_service.change_role(
            work, company_id, actor_id=boss_id, user_id=member_id, role="admin"
        ),
        lambda work: team_service.remove_from_team(work, company_id, actor_id=boss_id, user_id=member_id),
        lambda work: change_company(work, company_id, actor_id=boss_id, change=ChangeCompany(name="X")),
        lambda work: link_application(
            work, Viewer(boss_id), company_id=company_id, application_id=application_id, actor_id=boss_id
        ),
        lambda work: claims.complete_by_token(work, company_id, user_id=boss_id, token="x"),
    ]
    for change in changes:
        with pytest.raises(AccountBanned):
            async with platform.work() as work:
                await change(work)
