"""After a company lost its verification: who comes back, and who has to be added again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.companies.service.claims import claim_token
from bugrelay.domain.companies.service.verification import add_trusted_member
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.v1.companies.conftest import Sql
from tests.api.v1.companies.test_races import counted, members_of
from tests.api.v1.companies.test_team import Team
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, make_member, report
from tests.responses import refused

WHY = {"reason": "A doubt"}
Prove = Callable[[Person], Awaitable[httpx.Response]]


@pytest.fixture
def decide(
    client: httpx.AsyncClient, company: str, root: Person
) -> Callable[[str], Awaitable[httpx.Response]]:
    """`await decide("unverify")` is a system admin's act on the company."""

    async def decide(act: str) -> httpx.Response:
        return await client.post(f"/api/v1/admin/companies/{company}/{act}", json=WHY, headers=root.headers)

    return decide


@pytest.fixture
def claim(client: httpx.AsyncClient, settings: Settings, company: str) -> Callable[[Person], Awaitable[str]]:
    """`await claim(person)` opens a claim by mail; gives its token."""

    async def claim(person: Person) -> str:
        opened = await client.post(
            f"/api/v1/companies/{company}/claim",
            json={"email": "press@paper.example"},
            headers=person.headers,
        )
        assert opened.status_code == 200, opened.text
        return claim_token(settings.signing_key, UUID(opened.json()["claim"]["id"]))

    return claim


@pytest.fixture
def prove(client: httpx.AsyncClient, company: str, claim: Callable[[Person], Awaitable[str]]) -> Prove:
    """`await prove(person)` claims the company and completes the claim."""

    async def prove(person: Person) -> httpx.Response:
        return await client.post(
            f"/api/v1/companies/{company}/verify", json={"token": await claim(person)}, headers=person.headers
        )

    return prove


@pytest.fixture
async def eve(sign_up: SignUp) -> Person:
    """Somebody who was never on the team."""
    return await sign_up("eve")


async def test_a_claim_by_somebody_else_starts_a_new_team(
    client: httpx.AsyncClient,
    company: str,
    boss: Person,
    member: Person,
    eve: Person,
    decide: Any,
    prove: Prove,
) -> None:
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    await decide("unverify")
    claimed = await prove(eve)
    assert claimed.status_code == 200
    assert claimed.json()["company"]["members"] == [
        {"user": {"id": eve.id, "username": "eve"}, "role": "admin"}
    ]
    for former in (boss, member):
        refused(await Team(client, company, former).list(), 403, "NOT_MEMBER")
        refused(await Team(client, company, former).remove(eve.id), 403, "NOT_MEMBER")
        status = await client.patch(
            f"/api/v1/bugs/{bug['id']}/status", json={"status": "fixed"}, headers=former.headers
        )
        refused(status, 403, "INSUFFICIENT_PERMISSIONS")
        profile = (await client.get("/api/v1/auth/profile", headers=former.headers)).json()["user"]
        assert profile["company_memberships"] == []
    listed = (await Team(client, company, eve).list()).json()
    assert [one["user_id"] for one in listed["members"]] == [eve.id]
    assert listed["pagination"]["total"] == 1
    assert [(one["user"]["username"], one["role"]) for one in listed["former_members"]] == [
        ("boss", "admin"),
        ("mae", "member"),
    ]
    first = listed["former_members"][0]
    assert first.keys() == {"user_id", "role", "added_at", "ended_at", "user"}
    assert first["user"] == {"id": boss.id, "username": "boss", "email": "boss@paper.example"}


async def test_a_new_team_does_not_inherit_tickets_so_the_claim_is_refused_until_the_operator_decides(
    client: httpx.AsyncClient,
    platform: Platform,
    company: str,
    boss: Person,
    member: Person,
    eve: Person,
    decide: Any,
    prove: Prove,
) -> None:
    """A domain can be sold."""
    at = {"X-Company-ID": company}
    made = await client.post("/api/v1/tickets", json={"title": "For us alone"}, headers=boss.headers | at)
    assert made.status_code == 201
    await decide("unverify")
    refused(await prove(eve), 409, "COMPANY_HAS_TICKETS")
    seen = await client.get("/api/v1/tickets", headers=eve.headers | at)
    assert (seen.status_code, seen.json()["error"]) == (404, "E_COMPANY_NOT_FOUND")
    assert (await prove(boss)).status_code == 200  # one of them needs nobody's help
    assert (await Team(client, company, member).list()).json()["pagination"]["total"] == 2
    await decide("unverify")
    async with platform.work() as work:
        await add_trusted_member(work, domain="paper.example", email=eve.email, role="admin")
    seen = await client.get("/api/v1/tickets", headers=eve.headers | at)
    assert [one["title"] for one in seen.json()["tickets"]] == ["For us alone"]


async def test_former_members_come_back_only_when_added_again(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, eve: Person, decide: Any, prove: Prove
) -> None:
    await decide("unverify")
    await prove(eve)
    team = Team(client, company, eve)
    refused(await team.change(boss.id, "admin"), 404, "MEMBER_NOT_FOUND")
    refused(await team.remove(boss.id), 404, "MEMBER_NOT_FOUND")
    refused(await team.remove(eve.id), 409, "LAST_ADMIN")
    added = await team.add(boss.email)
    assert (added.status_code, added.json()["member"]["role"]) == (201, "member")
    assert (await team.list()).json()["former_members"] == []
    refused(
        await Team(client, company, boss).list(), 403, "NOT_MEMBER"
    )  # whoever is added proves their address
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (boss.id,))
    theirs = (await Team(client, company, boss).list()).json()
    assert "former_members" not in theirs


async def test_a_system_admins_verify_gives_the_suspended_members_back(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, decide: Any
) -> None:
    await decide("unverify")
    refused(await Team(client, company, boss).list(), 403, "NOT_MEMBER")
    await decide("verify")
    listed = (await Team(client, company, boss).list()).json()
    assert [one["user_id"] for one in listed["members"]] == [boss.id, member.id]
    assert listed["former_members"] == []


async def test_verify_gives_back_the_latest_team_and_not_one_before(
    client: httpx.AsyncClient, company: str, boss: Person, eve: Person, decide: Any, prove: Prove
) -> None:
    await decide("unverify")
    await prove(eve)
    await decide("unverify")
    await decide("verify")
    assert (await Team(client, company, eve).list()).status_code == 200
    refused(await Team(client, company, boss).list(), 403, "NOT_MEMBER")


async def test_a_claim_by_a_suspended_member_keeps_the_team(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, decide: Any, prove: Prove
) -> None:
    await decide("unverify")
    assert (await prove(member)).status_code == 200
    listed = (await Team(client, company, member).list()).json()
    assert [(one["user_id"], one["role"]) for one in listed["members"]] == [
        (boss.id, "admin"),
        (member.id, "admin"),
    ]
    assert listed["former_members"] == []


async def test_who_was_added_and_never_counted_was_no_member(
    client: httpx.AsyncClient, company: str, boss: Person, decide: Any, prove: Prove, sign_up: SignUp
) -> None:
    """Otherwise an admin who fears for their rights could add any address that may claim the company next."""
    ida = await sign_up("ida", email="ida@paper.example")
    assert (await Team(client, company, boss).add(ida.email)).status_code == 201
    await decide("unverify")
    assert (await prove(ida)).status_code == 200
    listed = (await Team(client, company, ida).list()).json()
    assert [one["user_id"] for one in listed["members"]] == [ida.id]
    assert [one["user_id"] for one in listed["former_members"]] == [boss.id]
    refused(await Team(client, company, boss).list(), 403, "NOT_MEMBER")


async def test_who_was_a_former_member_starts_a_team_of_their_own(
    client: httpx.AsyncClient, company: str, boss: Person, eve: Person, decide: Any, prove: Prove
) -> None:
    for person, former in ((eve, boss), (boss, eve), (eve, boss)):
        await decide("unverify")
        assert (await prove(person)).status_code == 200
        listed = (await Team(client, company, person).list()).json()
        assert [one["user_id"] for one in listed["members"]] == [person.id]
        assert [one["user_id"] for one in listed["former_members"]] == [former.id]


async def test_the_private_address_of_a_former_member_is_shown_to_nobody(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, eve: Person, decide: Any, prove: Prove
) -> None:
    """Who holds the domain today may be a stranger to those who held it before."""
    make_member(sql, ada, company, role="admin")
    await decide("unverify")
    await prove(eve)
    response = await Team(client, company, eve).list()
    (former,) = response.json()["former_members"]
    assert former["user"] == {"id": ada.id, "username": "ada", "email": None}
    assert ada.email not in response.text


async def test_an_erased_account_is_no_former_member(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, eve: Person, decide: Any, prove: Prove
) -> None:
    await decide("unverify")
    await prove(eve)
    exported = await client.get("/api/v1/users/me/export", headers=boss.headers)
    (kept,) = exported.json()["former_company_memberships"]
    assert (kept["company_id"], kept["role"]) == (company, "admin")
    erased = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=boss.headers
    )
    assert erased.status_code == 200
    assert (await Team(client, company, eve).list()).json()["former_members"] == []


async def test_a_claim_and_a_verify_at_once_leave_one_team(
    client: httpx.AsyncClient,
    sql: Sql,
    settings: Settings,
    company: str,
    boss: Person,
    eve: Person,
    decide: Any,
    claim: Any,
    rounds: int,
) -> None:
    """Either the admin was first, and the old team is back, or the claim was, and there is a new one."""
    for _ in range(rounds):
        await decide("unverify")
        token = await claim(eve)
        verified, claimed = await asyncio.gather(
            decide("verify"),
            client.post(f"/api/v1/companies/{company}/verify", json={"token": token}, headers=eve.headers),
        )
        assert sorted([verified.status_code, claimed.status_code]) == [200, 409]
        winner = boss if verified.status_code == 200 else eve
        assert members_of(sql, company) == [(winner.id, "admin")]
        sql.execute("DELETE FROM company_members")
        sql.execute("DELETE FROM former_company_members")
        make_member(sql, boss, company, role="admin")


async def test_ten_new_claims_at_once_make_one_first_admin(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    boss: Person,
    sign_up: SignUp,
    decide: Any,
    claim: Any,
    rounds: int,
) -> None:
    ten = [await sign_up(f"person{n}") for n in range(10)]
    for _ in range(rounds):
        await decide("unverify")
        tokens = await asyncio.gather(*(claim(person) for person in ten))
        answers = await asyncio.gather(
            *(
                client.post(
                    f"/api/v1/companies/{company}/verify", json={"token": token}, headers=person.headers
                )
                for person, token in zip(ten, tokens, strict=True)
            )
        )
        statuses = [answer.status_code for answer in answers]
        assert counted(statuses) == {200: 1, 409: 9}
        assert members_of(sql, company) == [(ten[statuses.index(200)].id, "admin")]
        sql.execute("DELETE FROM company_members")
        sql.execute("DELETE FROM former_company_members")
        make_member(sql, boss, company, role="admin")


async def test_a_user_added_during_a_new_claim_is_on_the_new_team_or_on_none(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    boss: Person,
    eve: Person,
    sign_up: SignUp,
    decide: Any,
    claim: Any,
    rounds: int,
) -> None:
    """Nobody slips from the old team into the new one."""
    ida = await sign_up("ida", email="ida@paper.example")
    for _ in range(rounds):
        added, unverified = await asyncio.gather(
            Team(client, company, boss).add(ida.email), decide("unverify")
        )
        assert unverified.status_code == 200
        assert added.status_code in (201, 403)
        token = await claim(eve)
        claimed = await client.post(
            f"/api/v1/companies/{company}/verify", json={"token": token}, headers=eve.headers
        )
        assert claimed.status_code == 200
        assert members_of(sql, company) == [(eve.id, "admin")]
        sql.execute("DELETE FROM company_members")
        sql.execute("DELETE FROM former_company_members")
        make_member(sql, boss, company, role="admin")
