"""An account is opened by its owner alone: what becomes of equal addresses, and of identities of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.oauth.conftest import Browser, Providers
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, register
from tests.infra.security.provider import somebody
from tests.responses import refused

Sql = psycopg.Connection[Any]
NewBrowser = Callable[[], Browser]
ADDRESS = "ada@people.example"


def verify(sql: Sql, person: Person) -> None:
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (person.id,))


@pytest.mark.parametrize(("ours", "theirs"), [(False, False), (False, True), (True, False)])
async def test_an_equal_address_opens_nothing_unless_both_have_proven_it(
    browser: Browser, ada: Person, sql: Sql, ours: bool, theirs: bool
) -> None:
    if ours:
        verify(sql, ada)
    for email in (ADDRESS, "ADA@People.Example"):
        identity = somebody("evil", email=email, email_verified=theirs)
        assert (await browser.agree(identity))["error"] == "EMAIL_ALREADY_EXISTS"
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM oauth_codes").fetchone() == (0,)


async def test_an_address_that_both_have_proven_links_the_identity(
    browser: Browser, ada: Person, sql: Sql, client: httpx.AsyncClient
) -> None:
    verify(sql, ada)
    assert (await browser.sign_in(somebody(email="Ada@People.Example"))).id == ada.id
    login = await client.post("/api/v1/auth/login", json={"email": ADDRESS, "password": PASSWORD})
    assert login.status_code == 200  # the password stays
    assert (await browser.sign_in(somebody(email="elsewhere@people.example"))).id == ada.id


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("skar@people.example", "\u017fkar@people.example"), ("a-ss@x.example", "a-ß@x.example")],
)
async def test_an_address_in_letters_that_only_fold_to_the_same_is_another_mailbox(
    browser: Browser, sign_up: SignUp, sql: Sql, ours: str, theirs: str
) -> None:
    """A provider that proves "ſkar" has proven nothing of "skar", which has its case folded alike."""
    verify(sql, await sign_up("skar", email=ours))
    assert (await browser.agree(somebody("mallory", email=theirs)))["error"] == "EMAIL_ALREADY_EXISTS"
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_two_identities_of_one_provider_with_one_address_do_not_share_an_account(
    browser: Browser, ada: Person, sql: Sql
) -> None:
    verify(sql, ada)
    await browser.sign_in(somebody("s-1", email=ADDRESS))
    assert (await browser.agree(somebody("s-2", email=ADDRESS)))["error"] == "PROVIDER_ALREADY_LINKED"


async def test_a_banned_owner_is_linked_nothing(browser: Browser, ada: Person, sql: Sql) -> None:
    verify(sql, ada)
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (ada.id,))
    assert (await browser.agree(somebody(email=ADDRESS)))["error"] == "ACCOUNT_BANNED"
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (0,)


async def test_an_address_that_is_not_proven_makes_an_account_that_has_still_to_prove_it(
    browser: Browser, sql: Sql
) -> None:
    await browser.sign_in(somebody(email_verified=False))
    assert sql.execute("SELECT is_email_verified FROM users").fetchone() == (False,)
    assert sql.execute("SELECT email FROM user_identities").fetchone() == (None,)
    jobs = sql.execute("SELECT args->>'purpose' FROM procrastinate_jobs").fetchall()
    assert jobs == [("verify_email",)]


async def test_providers_that_prove_one_address_at_once_open_one_account(
    new_browser: NewBrowser, providers: Providers, sql: Sql
) -> None:
    for i in range(5):
        one, two = new_browser(), new_browser()
        identity = somebody(f"s-{i}", email=f"shared-{i}@people.example")
        backs = (
            one.come_back(providers.sso.authorize(await one.start("sso"), identity)),
            two.come_back(providers.other.authorize(await two.start("other"), identity)),
        )
        assert all("code" in back for back in await asyncio.gather(*backs))
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (5,)
    assert sql.execute("SELECT count(*) FROM user_identities").fetchone() == (10,)


async def test_an_account_without_a_password_is_not_opened_by_registering_its_address(
    browser: Browser, client: httpx.AsyncClient
) -> None:
    await browser.sign_in(somebody(email=ADDRESS))
    body = {"email": ADDRESS, "username": "mallory", "password": PASSWORD}
    refused(await client.post("/api/v1/auth/register", json=body), 409, "EMAIL_ALREADY_EXISTS")
    for password in (PASSWORD, ""):
        login = await client.post("/api/v1/auth/login", json={"email": ADDRESS, "password": password})
        refused(login, 401, "INVALID_CREDENTIALS")


async def test_an_erased_account_is_opened_no_more(
    browser: Browser, client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    await browser.link(ada, somebody())
    code = (await browser.agree(somebody()))["code"]
    body = {"password": PASSWORD}
    gone = await client.request("DELETE", "/api/v1/users/me", json=body, headers=ada.headers)
    assert gone.status_code == 200
    refused(await browser.exchange(code), 400, "INVALID_OAUTH_CODE")
    assert (await browser.sign_in(somebody())).id != ada.id
    await register(client, "ada")
    assert sql.execute("SELECT count(*) FROM user_identities WHERE user_id = %s", (ada.id,)).fetchone() == (
        0,
    )
