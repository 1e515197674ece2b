"""A company is its domain; reporting first does not make anybody its owner."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.v1.companies.conftest import Claim
from tests.conftest import SignUp
from tests.factories import Person, report


async def test_slack_slack_at_an_attackers_and_slack_without_a_url_are_three_applications(
    client: httpx.AsyncClient,
) -> None:
    captured = await report(client, application_name="Slack", application_url="https://attacker.io/slack")
    real = await report(client, application_name="Slack", application_url="https://slack.com")
    bare = await report(client, application_name="Slack")
    assert len({one["application_id"] for one in (captured, real, bare)}) == 3
    assert captured["assigned_company"]["domain"] == "attacker.io"
    assert real["assigned_company"]["domain"] == "slack.com"
    assert bare["assigned_company"] is None


async def test_verifying_the_attackers_domain_gives_rights_over_applications_there_alone(
    client: httpx.AsyncClient, sign_up: SignUp, claim_by_mail: Claim
) -> None:
    captured = await report(client, application_name="Slack", application_url="https://attacker.io/slack")
    real = await report(client, application_name="Slack", application_url="https://slack.com")
    bare = await report(client, application_name="Slack")
    eve = await sign_up("eve")
    company_id = captured["assigned_company_id"]
    token = await claim_by_mail(eve, company_id, "eve@attacker.io")
    verified = await client.post(
        f"/api/v1/companies/{company_id}/verify", json={"token": token}, headers=eve.headers
    )
    assert verified.status_code == 200, verified.text

    for bug, status in ((captured, 200), (real, 403), (bare, 403)):
        changed = await client.patch(
            f"/api/v1/bugs/{bug['id']}/status", json={"status": "wont_fix"}, headers=eve.headers
        )
        assert changed.status_code == status
    for bug, status in ((captured, 200), (real, 403), (bare, 403)):
        linked = await client.post(
            f"/api/v1/companies/{company_id}/applications/{bug['application_id']}", headers=eve.headers
        )
        assert linked.status_code == status


async def test_a_company_that_calls_itself_slack_is_still_shown_with_its_own_domain(
    client: httpx.AsyncClient, company: str, boss: Person
) -> None:
    await client.patch(f"/api/v1/companies/{company}", json={"name": "Slack"}, headers=boss.headers)
    (bug,) = (await client.get("/api/v1/bugs", headers=boss.headers)).json()["bugs"]
    assert bug["assigned_company"] == {
        "id": company,
        "name": "Slack",
        "domain": "paper.example",
        "verified": True,
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://alice.github.io/tool",
        "https://alice.vercel.app",
        "https://apps.apple.com/app/id1",
        "https://play.google.com/store/apps/details?id=x",
        "https://gmail.com",
        "https://mail.yahoo.co.uk",
        "http://localhost:3000",
        "http://192.168.0.1/",
        "http://[::1]/",
        "https://co.uk",
    ],
)
async def test_shared_hosts_make_no_company(client: httpx.AsyncClient, url: str) -> None:
    bug = await report(client, application_url=url)
    assert bug["assigned_company"] is None
    assert (await client.get("/api/v1/companies")).json()["companies"] == []


@pytest.mark.parametrize(
    "urls",
    [
        (
            "https://slack.com",
            "https://WWW.Slack.COM:8443/x",
            "https://app.eu.slack.com",
            "https://slack.com@slack.com",
        ),
        ("https://bücher.de", "https://xn--bcher-kva.de", "https://BÜCHER.de"),
    ],
)
async def test_all_spellings_of_a_domain_are_one_company(
    client: httpx.AsyncClient, urls: tuple[str, ...]
) -> None:
    companies = {(await report(client, application_url=url))["assigned_company_id"] for url in urls}
    assert len(companies) == 1


async def test_a_company_is_named_by_its_domain_until_its_admins_name_it(
    client: httpx.AsyncClient, company: str, boss: Person
) -> None:
    path = f"/api/v1/companies/{company}"
    assert (await client.get(path)).json()["company"]["name"] == "paper.example"
    named = await client.patch(path, json={"name": "Paper & Co"}, headers=boss.headers)
    assert named.json()["company"]["name"] == "Paper & Co"
    unnamed = await client.patch(path, json={"name": None}, headers=boss.headers)
    assert unnamed.json()["company"]["name"] == "paper.example"


@pytest.mark.parametrize(
    ("url", "email"),
    [
        ("https://slack.com", "eve@mail.slack.com"),
        ("https://slack.com", "eve@slack.com.attacker.io"),
        ("https://slack.com", "eve@attacker.io"),
        ("https://slack.com", "eve@xn--slck-63d.com"),
        ("https://slack.com", "eve@sl\u0430ck.com"),
        ("https://slack.com", "slack.com@gmail.com"),
        ("https://shop.example.co.uk", "eve@shop.example.co.uk"),
    ],
)
async def test_a_mailbox_anywhere_but_at_the_domain_itself_proves_nothing(
    client: httpx.AsyncClient, ada: Person, url: str, email: str
) -> None:
    bug = await report(client, application_url=url)
    refused = await client.post(
        f"/api/v1/companies/{bug['assigned_company_id']}/claim", json={"email": email}, headers=ada.headers
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_DOMAIN")


@pytest.mark.parametrize("domain", ["gmail.com", "alice.github.io", "github.io", "yahoo.co.uk"])
@pytest.mark.parametrize("method", ["mail", "dns", "file"])
async def test_a_domain_where_anybody_can_be_cannot_be_claimed_even_if_there_is_a_company(
    client: httpx.AsyncClient, sql: Any, company: str, ada: Person, domain: str, method: str
) -> None:
    sql.execute("UPDATE companies SET domain = %s WHERE id = %s", (domain, company))
    refused = await client.post(
        f"/api/v1/companies/{company}/claim",
        json={"method": method, "email": f"ada@{domain}"},
        headers=ada.headers,
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_DOMAIN")
    assert sql.execute("SELECT count(*) FROM company_claims").fetchone() == (0,)


async def test_a_mailbox_at_a_domain_of_another_script_claims_it_in_either_spelling(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    bug = await report(client, application_url="https://bücher.de")
    for name, email in (("ada", "ada@bücher.de"), ("eva", "eva@xn--bcher-kva.de")):
        person = await sign_up(name)
        claimed = await client.post(
            f"/api/v1/companies/{bug['assigned_company_id']}/claim",
            json={"email": email},
            headers=person.headers,
        )
        assert claimed.status_code == 200, claimed.text
