"""Identities that their owner links and unlinks, and accounts without a password."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.infra.ids import new_id
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret
from tests.api.v1.accounts.conftest import works
from tests.api.v1.oauth.conftest import OAUTH, SITE, Browser, Providers, sent_on, signed_in
from tests.conftest import TEST_ENVIRONMENT, SignUp, StartApp
from tests.factories import PASSWORD, Person
from tests.infra.security.provider import Call, somebody
from tests.locks import until_somebody_waits_for_a_lock
from tests.responses import bad_fields, refused

Sql = psycopg.Connection[Any]
NewBrowser = Callable[[], Browser]
NEW_PASSWORD = "a second long passphrase"


async def profile(client: httpx.AsyncClient, person: Person) -> dict[str, Any]:
    response = await client.get("/api/v1/users/me", headers=person.headers)
    found: dict[str, Any] = response.json()["user"]
    return found


async def unlink(client: httpx.AsyncClient, person: Person, provider: str = "sso") -> httpx.Response:
    return await client.delete(f"{OAUTH}/link/{provider}", headers=person.headers)


def reset_link(sql: Sql, person: Person) -> str:
    """The token of a mailed link that sets a new password."""
    link_id = new_id()
    token = link_token(TEST_ENVIRONMENT["SECRET_KEY"], purpose="reset_password", link_id=link_id)
    sql.execute(
        "INSERT INTO one_time_links (id, user_id, purpose, email, token_hash, expires_at)"
        " VALUES (%s, %s, 'reset_password', %s, %s, now() + interval '1 hour')",
        (link_id, person.id, person.email, hash_secret(token)),
    )
    return token


async def reset(client: httpx.AsyncClient, sql: Sql, person: Person) -> None:
    body = {"token": reset_link(sql, person), "new_password": NEW_PASSWORD}
    response = await client.post("/api/v1/auth/password-reset/confirm", json=body)
    assert response.status_code == 200, response.text


async def test_an_identity_that_its_owner_linked_opens_the_account(
    browser: Browser, client: httpx.AsyncClient, ada: Person
) -> None:
    assert (await profile(client, ada))["identities"] == []
    linked = signed_in(await browser.link(ada, somebody("s-1", email="elsewhere@people.example")))
    assert linked.id == ada.id
    (identity,) = (await profile(client, ada))["identities"]
    assert set(identity) == {"provider", "email", "created_at", "last_used_at"}
    assert (identity["provider"], identity["email"]) == ("sso", "elsewhere@people.example")
    assert identity["created_at"].endswith("Z")
    assert (await browser.sign_in(somebody("s-1"))).id == ada.id
    assert (await profile(client, ada))["has_password"] is True


async def test_linking_again_changes_nothing(browser: Browser, ada: Person, sql: Sql) -> None:
    for _ in range(2):
        assert (await browser.link(ada, somebody())).status_code == 200
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (1,)


async def test_an_identity_opens_one_account_and_an_account_has_one_of_a_provider(
    browser: Browser, client: httpx.AsyncClient, ada: Person, sign_up: SignUp
) -> None:
    await browser.link(ada, somebody("s-1"))
    grace = await sign_up("grace")
    refused(await browser.link(grace, somebody("s-1")), 409, "IDENTITY_ALREADY_LINKED")
    refused(await browser.link(ada, somebody("s-2")), 409, "PROVIDER_ALREADY_LINKED")
    assert (await browser.link(ada, somebody("s-2"), "other")).status_code == 200
    assert [one["provider"] for one in (await profile(client, ada))["identities"]] == ["sso", "other"]
    assert (await profile(client, grace))["identities"] == []


async def test_two_accounts_that_link_one_identity_at_once_do_not_both_get_it(
    new_browser: NewBrowser, ada: Person, sign_up: SignUp, sql: Sql
) -> None:
    grace = await sign_up("grace")
    for i in range(5):
        browsers = new_browser(), new_browser()
        codes = [
            (await one.follow_link(who, somebody(f"s-{i}")))["code"]
            for one, who in zip(browsers, (ada, grace), strict=True)
        ]
        answers = await asyncio.gather(
            *(one.exchange(code) for one, code in zip(browsers, codes, strict=True))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert sql.execute("DELETE FROM user_identities").rowcount == 1


async def test_a_link_that_somebody_else_follows_links_them_to_nothing(
    browser: Browser, new_browser: NewBrowser, ada: Person, sql: Sql
) -> None:
    """Mallory begins to link and has ada's browser finish: ada's identity must not open Mallory's account."""
    started = await browser.start_linking(ada)
    victim = new_browser()
    asked = (await victim.get(started.json()["authorization_url"])).headers["location"]
    back = await victim.come_back(victim.providers.sso.authorize(asked, somebody("victim")))
    refused(
        await victim.exchange(back["code"]), 400, "INVALID_OAUTH_CODE"
    )  # whose front end has another verifier
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_a_ticket_is_good_once_for_its_provider_and_for_a_minute(
    browser: Browser, ada: Person, sql: Sql
) -> None:
    url = (await browser.start_linking(ada)).json()["authorization_url"]
    assert url.startswith(f"{SITE}{OAUTH}/sso?ticket=")
    refused(await browser.get(url.replace("/sso?", "/other?")), 400, "INVALID_OAUTH_STATE")
    assert (await browser.get(url)).status_code == 302
    refused(await browser.get(url), 400, "INVALID_OAUTH_STATE")
    late = (await browser.start_linking(ada)).json()["authorization_url"]
    sql.execute("UPDATE oauth_requests SET expires_at = now()")
    shown = await browser.get(late, headers={"Accept": "text/html"})
    assert (shown.status_code, "sign in again" in shown.text) == (400, True)


async def test_a_ticket_is_no_state(browser: Browser, ada: Person) -> None:
    await browser.start()
    ticket = (await browser.start_linking(ada)).json()["authorization_url"].partition("ticket=")[2]
    response = await browser.get(f"{OAUTH}/callback/sso", params={"state": ticket, "code": "x"})
    refused(response, 400, "INVALID_OAUTH_STATE")


async def test_linking_asks_for_an_account_and_a_trusted_address(
    client: httpx.AsyncClient, ada: Person
) -> None:
    refused(await client.post(f"{OAUTH}/link/sso", json={}), 401, "AUTH_REQUIRED")
    body = {"return_to": "https://evil.example", "code_challenge": "x" * 43}
    response = await client.post(f"{OAUTH}/link/sso", json=body, headers=ada.headers)
    assert bad_fields(response) == ["return_to"]
    response = await client.post(f"{OAUTH}/link/sso", json={}, headers=ada.headers)
    assert bad_fields(response) == ["code_challenge", "return_to"]


@pytest.mark.parametrize("path", ["logout", "logout-all"])
async def test_a_session_that_has_ended_links_nothing(
    browser: Browser, client: httpx.AsyncClient, ada: Person, sql: Sql, path: str
) -> None:
    back = await browser.follow_link(ada, somebody())
    await client.post(f"/api/v1/auth/{path}", headers=ada.headers)
    refused(await browser.exchange(back["code"]), 400, "INVALID_OAUTH_CODE")
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_an_unlinked_identity_opens_the_account_no_more(
    browser: Browser, client: httpx.AsyncClient, ada: Person
) -> None:
    await browser.link(ada, somebody("s-1"))
    code = (await browser.agree(somebody("s-1")))["code"]
    assert (await unlink(client, ada)).status_code == 200
    refused(await browser.exchange(code), 400, "INVALID_OAUTH_CODE")
    refused(await unlink(client, ada), 404, "IDENTITY_NOT_FOUND")
    refused(await unlink(client, ada, "nobody"), 404, "IDENTITY_NOT_FOUND")
    assert (await browser.sign_in(somebody("s-1"))).id != ada.id


async def test_the_last_sign_in_is_not_unlinked(
    browser: Browser, client: httpx.AsyncClient, sql: Sql
) -> None:
    person = await browser.sign_in(somebody("s-1"))
    assert (await profile(client, person))["has_password"] is False
    refused(await unlink(client, person), 409, "LAST_SIGN_IN")
    await browser.link(person, somebody("s-2"), "other")
    assert (await unlink(client, person)).status_code == 200
    refused(await unlink(client, person, "other"), 409, "LAST_SIGN_IN")
    await reset(client, sql, person)
    person = await browser.sign_in(
        somebody("s-1")
    )  # the reset unlinked `other`, which proved another address
    assert (await unlink(client, person)).status_code == 200


async def test_two_that_are_unlinked_at_once_leave_one(
    browser: Browser, client: httpx.AsyncClient, sql: Sql
) -> None:
    for i in range(5):
        person = await browser.sign_in(somebody(f"s-{i}"))
        await browser.link(person, somebody(f"s-{i}"), "other")
        answers = await asyncio.gather(unlink(client, person), unlink(client, person, "other"))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (5,)


async def test_a_provider_that_is_configured_no_more_counts_for_nothing_and_can_be_unlinked(
    browser: Browser, start_app: StartApp, providers: Providers, ada: Person
) -> None:
    person = await browser.sign_in(somebody("s-1"))
    await browser.link(person, somebody("s-2"), "other")
    await browser.link(ada, somebody("s-3"), "other")
    settings = providers.settings()
    kept = {**settings, "oauth_issuers": settings["oauth_issuers"][:1]}
    async with start_app(**kept) as client:
        refused(await unlink(client, person), 409, "LAST_SIGN_IN")
        assert (await unlink(client, ada, "other")).status_code == 200


async def test_what_counts_is_the_issuer_whatever_it_is_called_today(
    browser: Browser, start_app: StartApp, providers: Providers
) -> None:
    """`other` names another issuer by now, which does not open the account; and then the former one has a new name."""
    person = await browser.sign_in(somebody("s-1"))
    await browser.link(person, somebody("s-2"), "other")
    settings = providers.settings()
    sso, other = settings["oauth_issuers"]
    moved = replace(other, issuer="https://login.elsewhere.example")
    async with start_app(**{**settings, "oauth_issuers": (sso, moved)}) as client:
        refused(await unlink(client, person), 409, "LAST_SIGN_IN")
    renamed = replace(other, name="renamed")
    async with start_app(**{**settings, "oauth_issuers": (sso, moved, renamed)}) as client:
        assert (await unlink(client, person)).status_code == 200


async def test_without_a_password_it_is_set_by_mail_before_it_is_asked_for(
    browser: Browser, client: httpx.AsyncClient, sql: Sql
) -> None:
    person = await browser.sign_in(somebody())
    for method, path, body in (
        ("PUT", "auth/password", {"current_password": "", "new_password": NEW_PASSWORD}),
        ("DELETE", "users/me", {"password": PASSWORD}),
    ):
        for _ in range(7):  # none of them a guess
            response = await client.request(method, f"/api/v1/{path}", json=body, headers=person.headers)
            refused(response, 409, "PASSWORD_NOT_SET")
    await reset(client, sql, person)
    assert not await works(client, person)
    body = {"email": person.email, "password": NEW_PASSWORD}
    again = signed_in(await client.post("/api/v1/auth/login", json=body))
    assert [one["provider"] for one in (await profile(client, again))["identities"]] == ["sso"]
    gone = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": NEW_PASSWORD}, headers=again.headers
    )
    assert gone.status_code == 200
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_who_had_the_account_before_its_address_was_proven_is_shut_out_by_a_reset(
    browser: Browser, client: httpx.AsyncClient, sign_up: SignUp, sql: Sql
) -> None:
    """Mallory registers ada's address and links an identity of their own; ada, who reads the mails, resets."""
    squatted = await sign_up("squatter", email="ada@people.example")
    await browser.link(squatted, somebody("mallory"))
    await browser.link(squatted, somebody("m-2", email_verified=False, email="ada@people.example"), "other")
    code = (await browser.agree(somebody("mallory")))["code"]
    await reset(client, sql, squatted)
    refused(await browser.exchange(code), 400, "INVALID_OAUTH_CODE")
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


@pytest.mark.parametrize("to_link", [False, True])
async def test_an_exchange_that_waits_for_a_reset_opens_nothing(
    browser: Browser, ada: Person, sql: Sql, database_url: str, to_link: bool
) -> None:
    """A password reset holds the account's row while it ends the sessions; no exchange opens one after it."""
    if not to_link:
        await browser.link(ada, somebody())
    back = await (browser.follow_link(ada, somebody()) if to_link else browser.agree(somebody()))
    with psycopg.connect(database_url) as shutting_out:
        shutting_out.execute("SELECT FROM users FOR NO KEY UPDATE")
        exchanging = asyncio.create_task(browser.exchange(back["code"]))
        await until_somebody_waits_for_a_lock(sql)
        shutting_out.execute("DELETE FROM user_identities")
        shutting_out.execute("UPDATE sessions SET ended_at = now()")
    refused(await exchanging, 400, "INVALID_OAUTH_CODE")
    assert sql.execute("SELECT count(*) FROM sessions WHERE ended_at IS NULL").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_a_sign_in_that_waits_for_an_unlinking_is_the_first_of_its_identity(
    browser: Browser, ada: Person, sql: Sql, database_url: str
) -> None:
    await browser.link(ada, somebody())
    back = browser.providers.sso.authorize(await browser.start(), somebody())
    with psycopg.connect(database_url) as unlinking:
        unlinking.execute("DELETE FROM user_identities")
        coming_back = asyncio.create_task(browser.come_back(back))
        await until_somebody_waits_for_a_lock(sql)
    code = (await coming_back)["code"]
    assert signed_in(await browser.exchange(code)).id != ada.id


async def test_an_account_that_is_erased_while_the_provider_is_asked_is_linked_nothing(
    browser: Browser, client: httpx.AsyncClient, ada: Person, providers: Providers, sql: Sql
) -> None:
    def erase_first(call: Call) -> Any:
        sql.execute("DELETE FROM sessions")  # as an erasure does
        return answer(call)

    for path in ("/.well-known/openid-configuration", "/token"):
        answer = providers.sso.server.answers[path]
        providers.sso.server.answers[path] = erase_first
        url = (await browser.start_linking(ada)).json()["authorization_url"]
        started = await browser.get(url)
        if path == "/token":
            back = providers.sso.authorize(started.headers["location"], somebody())
            started = await browser.get(back)
        assert sent_on(started)["error"] == "INVALID_OAUTH_STATE"
        providers.sso.server.answers[path] = answer
        login = await client.post("/api/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
        ada = signed_in(login)
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_identities_are_exported_and_nobody_elses_are(
    browser: Browser, client: httpx.AsyncClient, ada: Person, sign_up: SignUp
) -> None:
    await browser.link(ada, somebody("s-1"))
    await browser.link(await sign_up("grace"), somebody("s-2"))
    document = (await client.get("/api/v1/users/me/export", headers=ada.headers)).json()
    (identity,) = document["identities"]
    assert (identity["provider"], identity["subject"]) == ("sso", "s-1")
    assert identity["issuer"] == browser.providers.sso.url
