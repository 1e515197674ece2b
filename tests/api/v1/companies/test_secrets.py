"""Addresses and tokens are planted, and every answer, mail and log line is searched for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.companies.service.claims import claim_token
from bugrelay.settings import Settings
from tests.api.v1.companies.conftest import Sql
from tests.conftest import RunJobs, SignUp
from tests.factories import Person, report

CLAIMED_AT = "canary-claim@paper.example"


@pytest.fixture
async def planted(
    client: httpx.AsyncClient,
    company: str,
    boss: Person,
    member: Person,
    ada: Person,
    sql: Sql,
    settings: Settings,
) -> list[str]:
    """What may leave nowhere: addresses of the team and of claims, and tokens."""
    sql.execute("UPDATE companies SET verified = false")
    planted = [CLAIMED_AT, boss.email, member.email, ada.email]
    for body in ({"email": CLAIMED_AT}, {"method": "dns"}, {"email": CLAIMED_AT}):
        claimed = await client.post(f"/api/v1/companies/{company}/claim", json=body, headers=ada.headers)
        planted.append(claim_token(settings.signing_key, UUID(claimed.json()["claim"]["id"])))
    sql.execute("UPDATE companies SET verified = true, verified_at = now()")
    return planted


def public_paths(company: str, application: str, bug: str) -> list[str]:
    return [
        "/api/v1/companies",
        "/api/v1/companies?search=canary",
        f"/api/v1/companies/{company}",
        "/api/v1/applications",
        f"/api/v1/applications/{application}",
        "/api/v1/bugs",
        f"/api/v1/bugs/{bug}",
        f"/api/v1/bugs/{bug}/comments",
        f"/api/v1/bugs/{bug}/history",
    ]


async def test_no_address_and_no_token_is_in_any_public_response(
    client: httpx.AsyncClient, company: str, boss: Person, sign_up: SignUp, planted: list[str]
) -> None:
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    await client.post(f"/api/v1/bugs/{bug['id']}/comments", json={"content": "On it"}, headers=boss.headers)
    stranger = await sign_up("stranger")
    for path in public_paths(company, bug["application_id"], bug["id"]):
        for headers in ({}, {}, stranger.headers):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 200, path
            assert [secret for secret in planted if secret in answer.text] == [], path


async def test_no_error_reveals_an_address_or_a_token(
    client: httpx.AsyncClient, company: str, planted: list[str], sign_up: SignUp
) -> None:
    stranger = await sign_up("stranger")
    path = f"/api/v1/companies/{company}"
    answers = [
        await client.get(f"{path}/members", headers=stranger.headers),
        await client.get(f"{path}/dashboard", headers=stranger.headers),
        await client.post(f"{path}/claim", json={"email": "x@paper.example"}, headers=stranger.headers),
        await client.post(f"{path}/verify", json={"token": "x"}, headers=stranger.headers),
        await client.post(f"{path}/members", json={"email": "x@paper.example"}, headers=stranger.headers),
    ]
    for answer in answers:
        assert answer.is_client_error
        assert [secret for secret in planted if secret in answer.text] == []


async def test_members_see_the_addresses_of_their_team_and_not_where_a_claim_was_sent(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, planted: list[str]
) -> None:
    team = (await client.get(f"/api/v1/companies/{company}/members", headers=member.headers)).text
    assert boss.email in team
    dashboard = (await client.get(f"/api/v1/companies/{company}/dashboard", headers=member.headers)).text
    assert boss.email not in dashboard
    for text in (team, dashboard):
        assert CLAIMED_AT not in text
        assert [token for token in planted[4:] if token in text] == []


async def test_nothing_is_logged_of_a_claim_but_that_there_was_one(
    client: httpx.AsyncClient,
    company: str,
    ada: Person,
    settings: Settings,
    run_jobs: RunJobs,
    claim_mails: Callable[[], list[EmailMessage]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    claimed = await client.post(
        f"/api/v1/companies/{company}/claim", json={"email": CLAIMED_AT}, headers=ada.headers
    )
    token = claim_token(settings.signing_key, UUID(claimed.json()["claim"]["id"]))
    await run_jobs()
    assert len(claim_mails()) == 1
    await client.post(f"/api/v1/companies/{company}/verify", json={"token": token}, headers=ada.headers)
    await asyncio.sleep(0)  # lines are written at the end of a turn of the loop
    out, err = capsys.readouterr()
    assert "/api/v1/companies/{company_id}/verify" in out + err
    for secret in (token, CLAIMED_AT):
        assert secret not in out + err
