"""Claims by mail: who may ask, where the token goes, and what it is good for."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from ipaddress import ip_network

import httpx
import pytest

from bugrelay.domain.companies.tasks import delete_expired_claims
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate
from tests.api.v1.companies.conftest import Claim, Sql, token_in
from tests.conftest import RunJobs, SignUp, StartApp
from tests.factories import PASSWORD, Person, register, report
from tests.responses import bad_fields, refused

MAILBOX = "press@paper.example"


async def test_a_claim_is_mailed_and_makes_the_claimant_the_companys_admin(
    client: httpx.AsyncClient, company: str, ada: Person, claim_by_mail: Claim
) -> None:
    path = f"/api/v1/companies/{company}"
    before = (await client.get(path, headers=ada.headers)).json()["company"]
    assert (before["verified"], before["verified_at"], before["members"]) == (False, None, [])
    token = await claim_by_mail(ada, company, MAILBOX)
    verified = await client.post(f"{path}/verify", json={"token": token}, headers=ada.headers)
    assert verified.status_code == 200
    after = (await client.get(path, headers=ada.headers)).json()["company"]
    assert after == verified.json()["company"]
    assert after["verified"] is True
    assert after["verified_at"].endswith("Z")
    assert after["members"] == [{"user": {"id": ada.id, "username": "ada"}, "role": "admin"}]


async def test_the_mail_names_the_claimant_and_carries_the_token_nowhere_else(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    ada: Person,
    run_jobs: RunJobs,
    claim_mails: Callable[[], list[EmailMessage]],
) -> None:
    answered = await client.post(
        f"/api/v1/companies/{company}/claim", json={"email": MAILBOX}, headers=ada.headers
    )
    claim = answered.json()["claim"]
    assert (claim["method"], claim["publish"]) == ("mail", None)
    jobs = sql.execute(
        "SELECT args::text FROM procrastinate_jobs WHERE task_name = 'companies.mail_claim'"
    ).fetchall()
    await run_jobs()
    (mail,) = claim_mails()
    assert mail["To"] == MAILBOX
    token = token_in(mail)
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "ada" in text
    assert "paper.example" in text
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert token in html
    kept = sql.execute("SELECT t::text FROM company_claims t").fetchall()
    for where in (answered.text, str(jobs), str(kept), str(mail["Subject"])):
        assert token not in where
    assert MAILBOX not in answered.text
    assert MAILBOX not in str(jobs)


async def test_a_mail_job_that_runs_twice_sends_the_same_mail(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    ada: Person,
    run_jobs: RunJobs,
    claim_mails: Callable[[], list[EmailMessage]],
) -> None:
    await client.post(f"/api/v1/companies/{company}/claim", json={"email": MAILBOX}, headers=ada.headers)
    sql.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
        " SELECT queue_name, task_name, args FROM procrastinate_jobs WHERE task_name = 'companies.mail_claim'"
    )
    assert (await run_jobs()).count("companies.mail_claim") == 2
    assert len(claim_mails()) == 1


async def test_the_token_is_good_once(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, claim_by_mail: Claim
) -> None:
    token = await claim_by_mail(ada, company, MAILBOX)
    path = f"/api/v1/companies/{company}/verify"
    assert (await client.post(path, json={"token": token}, headers=ada.headers)).status_code == 200
    refused(await client.post(path, json={"token": token}, headers=ada.headers), 400, "INVALID_LINK_TOKEN")
    sql.execute("UPDATE companies SET verified = false, verified_at = NULL")
    refused(await client.post(path, json={"token": token}, headers=ada.headers), 400, "INVALID_LINK_TOKEN")


async def test_the_token_is_no_good_for_another_user_another_company_or_after_a_day(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, sign_up: SignUp, claim_by_mail: Claim
) -> None:
    other = (await report(client, application_name="Ink", application_url="https://ink.example"))[
        "assigned_company_id"
    ]
    eve = await sign_up("eve")
    token = await claim_by_mail(ada, company, MAILBOX)
    await claim_by_mail(eve, company, "eve@paper.example")
    await claim_by_mail(ada, other, "press@ink.example")

    async def verify(person: Person, company_id: str, sent: str) -> httpx.Response:
        return await client.post(
            f"/api/v1/companies/{company_id}/verify", json={"token": sent}, headers=person.headers
        )

    refused(await verify(eve, company, token), 400, "INVALID_LINK_TOKEN")
    refused(await verify(ada, other, token), 400, "INVALID_LINK_TOKEN")
    refused(await verify(ada, company, token + "x"), 400, "INVALID_LINK_TOKEN")
    refused(await verify(ada, company, "\U0001f600"), 400, "INVALID_LINK_TOKEN")
    sql.execute("UPDATE company_claims SET expires_at = now() - interval '1 second'")
    refused(await verify(ada, company, token), 400, "INVALID_LINK_TOKEN")
    sql.execute("UPDATE company_claims SET expires_at = now() + interval '1 minute'")
    assert (await verify(ada, company, token)).status_code == 200


async def test_a_claim_holds_for_24_hours(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person
) -> None:
    await client.post(f"/api/v1/companies/{company}/claim", json={"email": MAILBOX}, headers=ada.headers)
    row = sql.execute(
        "SELECT expires_at - now() BETWEEN interval '23:59' AND interval '24:00' FROM company_claims"
    ).fetchone()
    assert row == (True,)


async def test_a_newer_claim_of_mine_replaces_my_older_one(
    client: httpx.AsyncClient, company: str, ada: Person, claim_by_mail: Claim
) -> None:
    older = await claim_by_mail(ada, company, MAILBOX)
    newer = await claim_by_mail(ada, company, MAILBOX)
    path = f"/api/v1/companies/{company}/verify"
    refused(await client.post(path, json={"token": older}, headers=ada.headers), 400, "INVALID_LINK_TOKEN")
    assert (await client.post(path, json={"token": newer}, headers=ada.headers)).status_code == 200


async def test_a_claim_by_somebody_else_neither_cancels_nor_reuses_mine(
    client: httpx.AsyncClient, company: str, ada: Person, sign_up: SignUp, claim_by_mail: Claim
) -> None:
    mine = await claim_by_mail(ada, company, MAILBOX)
    eve = await sign_up("eve")
    theirs = await claim_by_mail(eve, company, MAILBOX)
    assert mine != theirs
    path = f"/api/v1/companies/{company}/verify"
    assert (await client.post(path, json={"token": mine}, headers=ada.headers)).status_code == 200
    refused(await client.post(path, json={"token": theirs}, headers=eve.headers), 409, "ALREADY_VERIFIED")


@pytest.mark.parametrize("body", [{"email": MAILBOX}, {"method": "dns"}, {"method": "file"}])
async def test_a_verified_company_cannot_be_claimed(
    client: httpx.AsyncClient, company: str, boss: Person, ada: Person, body: dict[str, str]
) -> None:
    response = await client.post(f"/api/v1/companies/{company}/claim", json=body, headers=ada.headers)
    refused(response, 409, "ALREADY_VERIFIED")


async def test_what_a_claim_and_a_verification_must_say(
    client: httpx.AsyncClient, company: str, ada: Person
) -> None:
    path = f"/api/v1/companies/{company}"

    async def fields(route: str, body: dict[str, object]) -> list[str]:
        return bad_fields(await client.post(f"{path}/{route}", json=body, headers=ada.headers))

    assert await fields("claim", {}) == ["email"]
    assert await fields("claim", {"method": "mail"}) == ["email"]
    assert await fields("claim", {"email": "nobody"}) == ["email"]
    assert await fields("claim", {"method": "pigeon", "email": 1}) == ["email", "method"]
    assert await fields("verify", {}) == ["token"]
    assert await fields("verify", {"token": ""}) == ["token"]
    assert await fields("verify", {"token": 5}) == ["token"]
    assert await fields("verify", {"token": "a\0b"}) == ["token"]


@pytest.mark.parametrize("route", ["claim", "verify"])
async def test_claims_are_for_users_on_companies_that_exist(
    client: httpx.AsyncClient, company: str, ada: Person, route: str
) -> None:
    body = {"email": MAILBOX, "token": "x"}
    refused(await client.post(f"/api/v1/companies/{company}/{route}", json=body), 401, "AUTH_REQUIRED")
    nowhere = company.replace(company[:8], "00000000")
    gone = await client.post(f"/api/v1/companies/{nowhere}/{route}", json=body, headers=ada.headers)
    refused(gone, 404, "COMPANY_NOT_FOUND")
    malformed = await client.post(f"/api/v1/companies/paper/{route}", json=body, headers=ada.headers)
    refused(malformed, 400, "INVALID_ID")


async def test_where_addresses_must_be_verified_claiming_needs_one(start_app: StartApp, sql: Sql) -> None:
    async with start_app(require_verified_email=True) as client:
        company_id = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
        ada = await register(client, "ada")
        path = f"/api/v1/companies/{company_id}/claim"
        refused(
            await client.post(path, json={"email": MAILBOX}, headers=ada.headers), 403, "EMAIL_NOT_VERIFIED"
        )
        sql.execute("UPDATE users SET is_email_verified = true")
        assert (await client.post(path, json={"email": MAILBOX}, headers=ada.headers)).status_code == 200


async def test_mails_to_an_address_are_limited_over_all_users(start_app: StartApp) -> None:
    proxies = (ip_network("127.0.0.1/32"),)
    async with start_app(rate_limit_mail=Rate(2, 60), trusted_proxies=proxies) as client:
        company_id = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
        answers = []
        for position, name in enumerate(["ada", "eva", "ida"]):
            person = await register(client, name)
            from_elsewhere = person.headers | {"X-Forwarded-For": f"203.0.113.{position}"}
            answers.append(
                await client.post(
                    f"/api/v1/companies/{company_id}/claim", json={"email": MAILBOX}, headers=from_elsewhere
                )
            )
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_claim_of_an_account_that_was_erased_is_gone_with_its_address(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person
) -> None:
    await client.post(f"/api/v1/companies/{company}/claim", json={"email": MAILBOX}, headers=ada.headers)
    erased = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=ada.headers
    )
    assert erased.status_code == 200, erased.text
    assert sql.execute("SELECT count(*) FROM company_claims").fetchone() == (0,)


async def test_expired_claims_are_deleted_with_their_addresses(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person, sign_up: SignUp, platform: Platform
) -> None:
    eve = await sign_up("eve")
    for person in (ada, eve):
        await client.post(
            f"/api/v1/companies/{company}/claim", json={"email": MAILBOX}, headers=person.headers
        )
    sql.execute(
        "UPDATE company_claims SET expires_at = now() - interval '1 second' WHERE user_id = %s", (eve.id,)
    )
    await delete_expired_claims(platform)
    left = [str(user_id) for (user_id,) in sql.execute("SELECT user_id FROM company_claims")]
    assert left == [ada.id]
