"""Which tenant a request is about, and what a company's reporter may do on the board: nothing that a user may not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import Person, make_member, register, report
from tests.responses import bad_fields, refused


@pytest.fixture
async def rex(sign_up: SignUp, sql: Sql, company: str, boss: Person) -> Person:
    """A reporter of the company, with an address elsewhere."""
    person = await sign_up("rex", email="rex@customer.example")
    make_member(sql, person, company, role="reporter")
    return person


async def users(client: httpx.AsyncClient, person: Person, **named: Any) -> httpx.Response:
    """The users of the tenant that this names by `header` and `parameter`."""
    header = {"X-Company-ID": named["header"]} if "header" in named else {}
    query = {"company": named["parameter"]} if "parameter" in named else {}
    return await client.get("/api/v1/users", headers={**person.headers, **header}, params=query)


def names_of(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [user["username"] for user in response.json()["users"]]


async def test_a_tenant_is_named_by_id_or_domain_where_there_are_several(
    client: httpx.AsyncClient, company: str, boss: Person, other_boss: Person, sql: Sql, ada: Person
) -> None:
    (other,) = sql.execute("SELECT id::text FROM companies WHERE domain = 'ink.example'").fetchone() or ()
    assert names_of(await users(client, boss)) == ["boss"]
    refused(await users(client, ada), 404, "COMPANY_NOT_FOUND")
    make_member(sql, boss, other, role="admin")
    refused(await users(client, boss), 400, "COMPANY_REQUIRED")
    for spelling in (company, company.upper(), "paper.example", " Paper.Example "):
        assert names_of(await users(client, boss, header=spelling)) == ["boss"]
        assert names_of(await users(client, boss, parameter=spelling)) == ["boss"]
    assert names_of(await users(client, boss, parameter="ink.example")) == ["otto", "boss"]
    assert names_of(await users(client, boss, header=other, parameter=other)) == ["otto", "boss"]
    assert names_of(await users(client, boss, header=company, parameter="Paper.example")) == ["boss"]
    refused(await users(client, boss, header=""), 400, "COMPANY_REQUIRED")
    for one, another in ((company, "ink.example"), (other, "paper.example"), (company, "nobody.example")):
        assert bad_fields(await users(client, boss, header=one, parameter=another)) == ["company"]
        assert bad_fields(await users(client, boss, header=another, parameter=one)) == ["company"]
    assert bad_fields(await users(client, boss, header=company, parameter=other)) == ["company"]
    assert bad_fields(await users(client, boss, parameter=[company, other])) == ["company"]
    headers = [*boss.headers.items(), ("X-Company-ID", company), ("X-Company-ID", other)]
    assert bad_fields(await client.get("/api/v1/users", headers=headers)) == ["company"]


@pytest.mark.parametrize(
    "named",
    ["ink.example", "nobody.example", "00000000-0000-7000-8000-000000000000", "a b", "\0", "*", "." * 5000],
)
async def test_a_company_of_others_is_as_one_that_is_not_there(
    client: httpx.AsyncClient, boss: Person, other_boss: Person, named: str
) -> None:
    refused(await users(client, boss, parameter=named), 404, "COMPANY_NOT_FOUND")


async def test_a_tenant_lasts_as_long_as_its_verification_and_the_membership_count(
    client: httpx.AsyncClient, company: str, boss: Person, root: Person, sql: Sql
) -> None:
    refused(await users(client, root, header=company), 404, "COMPANY_NOT_FOUND")
    for lost, back in (
        ("UPDATE companies SET verified = false", "UPDATE companies SET verified = true"),
        (
            "UPDATE company_members SET email_key = 'boss@paper.example'",
            "UPDATE users SET is_email_verified = true",
        ),
        ("UPDATE company_members SET is_active = false", "UPDATE company_members SET is_active = true"),
    ):
        sql.execute(lost)
        refused(await users(client, boss), 404, "COMPANY_NOT_FOUND")
        refused(await users(client, boss, header=company), 404, "COMPANY_NOT_FOUND")
        sql.execute(back)
        assert names_of(await users(client, boss)) == ["boss"]


async def test_a_reporter_of_the_company_is_a_user_like_any_other_on_the_board(
    client: httpx.AsyncClient, company: str, boss: Person, rex: Person
) -> None:
    bug = await report(
        client,
        application_name="Paper",
        application_url="https://app.paper.example",
        contact_email="owner@people.example",
    )
    assert bug["assigned_company_id"] == company
    shown = (await client.get(f"/api/v1/bugs/{bug['id']}", headers=rex.headers)).json()["bug"]
    assert "owner@people.example" not in str(shown)
    path = f"/api/v1/bugs/{bug['id']}"
    status = await client.patch(f"{path}/status", json={"status": "fixed"}, headers=rex.headers)
    refused(status, 403, "INSUFFICIENT_PERMISSIONS")
    said = await client.post(f"{path}/comments", json={"content": "Me too"}, headers=rex.headers)
    assert said.json()["comment"]["is_company_response"] is False
    for page in ("members", "dashboard", "webhooks"):
        response = await client.get(f"/api/v1/companies/{company}/{page}", headers=rex.headers)
        refused(response, 403, "NOT_MEMBER")
    for seen in (
        await client.get(f"/api/v1/companies/{company}"),
        await client.get(f"/api/v1/companies/{company}/members", headers=boss.headers),
        await client.get(f"/api/v1/companies/{company}/dashboard", headers=boss.headers),
    ):
        assert rex.id not in seen.text
        assert "rex" not in seen.text


async def test_the_routes_of_a_team_know_no_reporter(
    client: httpx.AsyncClient, company: str, boss: Person, rex: Person
) -> None:
    path = f"/api/v1/companies/{company}/members"
    promoted = await client.patch(f"{path}/{rex.id}", json={"role": "admin"}, headers=boss.headers)
    refused(promoted, 404, "MEMBER_NOT_FOUND")
    gone = await client.request("DELETE", path, json={"user_id": rex.id}, headers=boss.headers)
    refused(gone, 404, "MEMBER_NOT_FOUND")
    body = {"email": rex.email, "role": "reporter"}
    assert bad_fields(await client.post(path, json=body, headers=boss.headers)) == ["role"]


async def test_a_reporter_who_proves_the_domain_starts_a_new_team(
    client: httpx.AsyncClient, company: str, boss: Person, rex: Person, ada: Person, root: Person, sql: Sql
) -> None:
    """They were on no team, so the former team is not theirs; nor do they see who else reported to it."""
    make_member(sql, ada, company, role="reporter")
    act = await client.post(
        f"/api/v1/admin/companies/{company}/unverify", json={"reason": "A doubt"}, headers=root.headers
    )
    assert act.status_code == 200, act.text
    claim = await client.post(
        f"/api/v1/companies/{company}/claim", json={"method": "dns"}, headers=rex.headers
    )
    assert claim.status_code == 200, claim.text
    sql.execute("UPDATE company_claims SET method = 'mail', email = 'x@paper.example'")
    token = claim.json()["claim"]["publish"]["content"].partition("=")[2]
    proven = await client.post(
        f"/api/v1/companies/{company}/verify", json={"token": token}, headers=rex.headers
    )
    assert proven.status_code == 200, proven.text
    assert names_of(await users(client, rex)) == ["rex"]
    team = await client.get(f"/api/v1/companies/{company}/members", headers=rex.headers)
    assert [former["user"]["username"] for former in team.json()["former_members"]] == ["boss"]
    refused(await users(client, boss), 404, "COMPANY_NOT_FOUND")


async def test_my_account_names_the_companies_i_belong_to(
    client: httpx.AsyncClient, company: str, rex: Person, sql: Sql
) -> None:
    (mine,) = (await client.get("/api/v1/users/me", headers=rex.headers)).json()["user"][
        "company_memberships"
    ]
    assert (mine["company_id"], mine["role"]) == (company, "reporter")
    sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (rex.id,))
    user = (await client.get("/api/v1/users/me", headers=rex.headers)).json()["user"]
    assert user["company_memberships"] == []


async def test_pages_of_other_origins_may_name_a_tenant(start_app: Any) -> None:
    async with start_app(cors_allow_origins=("https://front.example",)) as client:
        preflight = await client.options(
            "/api/v1/users",
            headers={
                "Origin": "https://front.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "Authorization, X-Company-ID",
            },
        )
        assert preflight.status_code == 204, preflight.text
        person = await register(client, "ada")
        refused(await users(client, person), 404, "COMPANY_NOT_FOUND")
