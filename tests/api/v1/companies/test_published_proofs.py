"""Claims by what is published: a TXT record of the domain, or a file on its host."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.companies.tasks import check_open_claims, check_proof
from bugrelay.infra.platform import Platform
from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import Person, make_member
from tests.infra.security.outside import egress_to, name_service, site
from tests.responses import refused


async def open_claim(client: httpx.AsyncClient, person: Person, company: str, method: str) -> dict[str, Any]:
    response = await client.post(
        f"/api/v1/companies/{company}/claim", json={"method": method}, headers=person.headers
    )
    assert response.status_code == 200, response.text
    claim: dict[str, Any] = response.json()["claim"]
    return claim


async def is_admin(client: httpx.AsyncClient, person: Person, company: str) -> bool:
    response = await client.get(f"/api/v1/companies/{company}/dashboard", headers=person.headers)
    return response.status_code == 200 and response.json()["user_role"] == "admin"


async def test_a_published_txt_record_proves_the_domain(
    client: httpx.AsyncClient, company: str, ada: Person, platform: Platform
) -> None:
    claim = await open_claim(client, ada, company, "dns")
    publish = claim["publish"]
    assert (publish["kind"], publish["place"]) == ("TXT record", "paper.example")
    assert publish["content"].startswith("bugrelay-verification=")
    async with name_service() as (zone, resolver):
        zone.records["paper.example", "TXT"] = ['"v=spf1 -all"']
        await check_proof(platform, UUID(claim["id"]), egress_to(resolver))
        assert not await is_admin(client, ada, company)
        zone.records["paper.example", "TXT"].append(f'"{publish["content"]}"')
        await check_proof(platform, UUID(claim["id"]), egress_to(resolver))
        assert set(zone.asked) == {("paper.example", "TXT")}
    assert await is_admin(client, ada, company)


async def test_a_published_file_proves_the_domain(
    client: httpx.AsyncClient, company: str, ada: Person, platform: Platform
) -> None:
    claim = await open_claim(client, ada, company, "file")
    publish = claim["publish"]
    assert (publish["kind"], publish["place"]) == ("file", "https://paper.example/.well-known/bugrelay.txt")
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"nothing yet", status="404 Not Found")
        await check_proof(platform, UUID(claim["id"]), egress_to(resolver, web))
        assert not await is_admin(client, ada, company)
        web.holds(f"# ours\r\n{publish['content']}\r\n".encode())
        await check_proof(platform, UUID(claim["id"]), egress_to(resolver, web))
        assert web.requests[-1].startswith(b"GET /.well-known/bugrelay.txt ")
    assert await is_admin(client, ada, company)


async def test_what_is_published_for_one_claimant_is_of_no_use_to_another(
    client: httpx.AsyncClient, company: str, ada: Person, sign_up: SignUp, platform: Platform
) -> None:
    eve = await sign_up("eve")
    mine = await open_claim(client, ada, company, "dns")
    theirs = await open_claim(client, eve, company, "dns")
    async with name_service() as (zone, resolver):
        zone.records["paper.example", "TXT"] = [f'"{mine["publish"]["content"]}"']
        await check_proof(platform, UUID(theirs["id"]), egress_to(resolver))
        assert not await is_admin(client, eve, company)
        await check_proof(platform, UUID(mine["id"]), egress_to(resolver))
    assert await is_admin(client, ada, company)
    assert not await is_admin(client, eve, company)


@pytest.mark.parametrize("method", ["dns", "file"])
async def test_the_token_to_publish_proves_nothing_when_it_is_sent_back(
    client: httpx.AsyncClient, company: str, ada: Person, method: str
) -> None:
    claim = await open_claim(client, ada, company, method)
    token = claim["publish"]["content"].removeprefix("bugrelay-verification=")
    for sent in (token, claim["publish"]["content"]):
        response = await client.post(
            f"/api/v1/companies/{company}/verify", json={"token": sent}, headers=ada.headers
        )
        refused(response, 400, "INVALID_LINK_TOKEN")


@pytest.mark.parametrize("over", ["expired", "replaced", "banned", "verified by another"])
async def test_a_proof_of_a_claim_that_is_over_changes_nothing(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    ada: Person,
    sign_up: SignUp,
    platform: Platform,
    over: str,
) -> None:
    claim = await open_claim(client, ada, company, "dns")
    eve = await sign_up("eve")
    if over == "expired":
        sql.execute("UPDATE company_claims SET expires_at = now()")
    elif over == "replaced":
        await open_claim(client, ada, company, "dns")
    elif over == "banned":
        sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (ada.id,))
    else:
        make_member(sql, eve, company, role="admin")
    async with name_service() as (zone, resolver):
        zone.records["paper.example", "TXT"] = [f'"{claim["publish"]["content"]}"']
        await check_proof(platform, UUID(claim["id"]), egress_to(resolver))
    members = [str(one) for (one,) in sql.execute("SELECT user_id FROM company_members")]
    assert ada.id not in members


async def test_asking_adds_one_job_and_none_again_within_half_a_minute(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person
) -> None:
    claim = await open_claim(client, ada, company, "dns")
    path = f"/api/v1/companies/{company}/verify"
    for _ in range(3):
        asked = await client.post(path, json={"method": "dns"}, headers=ada.headers)
        assert (asked.status_code, asked.json()["company"]["verified"]) == (202, False)
    jobs = sql.execute(
        "SELECT args ->> 'claim_id' FROM procrastinate_jobs WHERE task_name = 'companies.check_claim'"
    ).fetchall()
    assert jobs == [(claim["id"],)]
    sql.execute("UPDATE company_claims SET checked_at = now() - interval '31 seconds'")
    await client.post(path, json={"method": "dns"}, headers=ada.headers)
    count = sql.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'companies.check_claim'"
    ).fetchone()
    assert count == (2,)


async def test_who_has_no_such_claim_has_nothing_looked_for(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, sign_up: SignUp
) -> None:
    await open_claim(client, ada, company, "dns")
    eve = await sign_up("eve")
    path = f"/api/v1/companies/{company}/verify"
    refused(await client.post(path, json={"method": "dns"}, headers=eve.headers), 400, "INVALID_LINK_TOKEN")
    refused(await client.post(path, json={"method": "file"}, headers=ada.headers), 400, "INVALID_LINK_TOKEN")
    make_member(sql, eve, company, role="admin")
    refused(await client.post(path, json={"method": "dns"}, headers=ada.headers), 409, "ALREADY_VERIFIED")


async def test_open_claims_are_looked_at_without_being_asked(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, sign_up: SignUp, platform: Platform
) -> None:
    claim = await open_claim(client, ada, company, "file")
    eve = await sign_up("eve")
    await client.post(
        f"/api/v1/companies/{company}/claim", json={"email": "eve@paper.example"}, headers=eve.headers
    )
    await check_open_claims(platform)
    await check_open_claims(platform)
    jobs = sql.execute(
        "SELECT args ->> 'claim_id' FROM procrastinate_jobs WHERE task_name = 'companies.check_claim'"
    ).fetchall()
    assert jobs == [(claim["id"],)]
