"""Signing in with a provider, and everybody who tries to sign in as somebody else by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from bugrelay.infra.security.identity_providers import provider_client
from tests.api.v1.accounts.conftest import works
from tests.api.v1.oauth.conftest import OAUTH, SITE, Browser, Providers, sent_on, signed_in
from tests.conftest import StartApp
from tests.factories import Person, register
from tests.infra.security.provider import somebody
from tests.responses import bad_fields, refused

Sql = psycopg.Connection[Any]
NewBrowser = Callable[[], Browser]


async def test_the_first_sign_in_makes_an_account_and_the_next_one_opens_it(
    browser: Browser, client: httpx.AsyncClient, sql: Sql
) -> None:
    first = await browser.sign_in(somebody("s-1", name="Ada Lovelace"))
    assert await works(client, first)
    profile = (await client.get("/api/v1/users/me", headers=first.headers)).json()["user"]
    assert profile["username"] == "name-s-1"
    assert profile["display_name"] == "Ada Lovelace"
    assert profile["auth_provider"] == "sso"
    assert profile["is_email_verified"] is True
    again = await browser.sign_in(somebody("s-1", email="moved@people.example", preferred_username="other"))
    assert again.id == first.id
    assert again.email == "s-1@people.example"  # the account's own stays
    refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": again.refresh_token})
    assert refreshed.status_code == 200
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (1,)


async def test_github_is_asked_for_user_and_verified_primary_address(
    browser: Browser, client: httpx.AsyncClient
) -> None:
    emails = [
        {"email": "old@people.example", "primary": False, "verified": True},
        {"email": "octo@people.example", "primary": True, "verified": True},
    ]
    person = {"id": 583231, "login": "octocat", "name": None, "emails": emails}
    ada = await browser.sign_in(person, "github")
    assert (ada.username, ada.email) == ("octocat", "octo@people.example")
    # The login may be taken by somebody else tomorrow: the number is who it is.
    assert (await browser.sign_in(person | {"login": "renamed"}, "github")).id == ada.id
    other = person | {"id": 2, "emails": [{"email": "new@people.example", "primary": True, "verified": True}]}
    second = await browser.sign_in(other, "github")
    assert second.id != ada.id
    assert second.username.startswith("octocat-")


async def test_github_refuses_a_code_with_200(browser: Browser, providers: Providers) -> None:
    back = providers.github.authorize(await browser.start("github"), {})
    providers.github.grants.clear()
    assert (await browser.come_back(back))["error"] == "OAUTH_FAILED"


@pytest.mark.parametrize("path", ["/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"])
async def test_github_that_hangs_is_an_error_of_the_provider(
    browser: Browser, providers: Providers, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_client, "PROVIDER_SECONDS", 0.5)
    providers.github.server.hanging = {path}
    person = {"id": 1, "login": "octocat", "emails": []}
    assert (await browser.agree(person, "github"))["error"] == "OAUTH_UNAVAILABLE"


async def test_a_provider_that_is_not_configured_is_not_there(client: httpx.AsyncClient, ada: Person) -> None:
    for path in ("google", "callback/google", "nobody"):
        refused(await client.get(f"{OAUTH}/{path}"), 404, "OAUTH_PROVIDER_NOT_FOUND")
    response = await client.post(f"{OAUTH}/link/google", json={}, headers=ada.headers)
    refused(response, 404, "OAUTH_PROVIDER_NOT_FOUND")
    config = (await client.get("/api/v1/config")).json()
    assert config["sign_in_providers"] == ["password", "github", "sso", "other"]


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "//evil.example/",
        "/signed-in",
        "javascript:alert(1)//board.example",
        "http://board.example@evil.example/",
        "http://board.example:pass@evil.example/",
        "http://evil.example\\@board.example/",
        "http://board.example\\.evil.example/",
        "http://board.example.evil.example/",
        "http://board.example:8080/",
        "https://board.example/",
        "https://app.example/",
        "https://app.example:8443@evil.example",
        "http://board.example\t/",
        "http://board.exämple/",
        "http://[board.example/",
        "http://board.example:99999/",
        "http:/board.example/",
        "*",
        "https://*/",
        "http://board.example/?code=mine",
        "http://board.example/?c%6Fde=mine",
        "http://board.example/?a=1&error=x",
        "http://board.example/" + "x" * 2000,
    ],
)
async def test_nobody_is_sent_on_to_an_address_that_is_not_trusted(
    client: httpx.AsyncClient, browser: Browser, return_to: str, sql: Sql
) -> None:
    query = {"return_to": return_to, "code_challenge": browser.challenge}
    assert bad_fields(await client.get(f"{OAUTH}/sso", params=query)) == ["return_to"]
    assert sql.execute("SELECT count(*) FROM oauth_requests").fetchone() == (0,)


@pytest.mark.parametrize(
    "return_to", ["http://board.example", "HTTP://BOARD.EXAMPLE:80/#/in", "https://app.example:8443/a?b=%20"]
)
async def test_an_address_of_the_site_or_of_an_origin_that_may_call_is_trusted(
    browser: Browser, return_to: str
) -> None:
    assert await browser.start(return_to=return_to)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"code_challenge": "x" * 43}, "return_to"),
        ({"return_to": SITE}, "code_challenge"),
        ({"return_to": SITE, "code_challenge": "x" * 42}, "code_challenge"),
        ({"return_to": SITE, "code_challenge": "x" * 42 + "="}, "code_challenge"),
        (
            {"return_to": SITE, "code_challenge": "x" * 43, "code_challenge_method": "plain"},
            "code_challenge_method",
        ),
    ],
)
async def test_a_sign_in_that_does_not_fit_is_not_begun(
    client: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    assert bad_fields(await client.get(f"{OAUTH}/sso", params=query)) == [field]


async def test_the_cookie_is_for_this_host_alone_where_the_site_has_tls(
    start_app: StartApp, providers: Providers
) -> None:
    async with start_app(**providers.settings() | {"public_url": "https://board.example"}) as client:
        query = {"return_to": "https://board.example/in", "code_challenge": "x" * 43}
        response = await client.get(f"{OAUTH}/sso", params=query)
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-bugrelay-oauth=")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    asked = parse_qs(urlsplit(response.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://board.example/api/v1/auth/oauth/callback/sso"]


async def test_neither_state_nor_browser_nor_code_lies_in_the_database(browser: Browser, sql: Sql) -> None:
    asked = await browser.start()
    (state,) = parse_qs(urlsplit(asked).query)["state"]
    (row,) = sql.execute("SELECT t::text FROM oauth_requests AS t").fetchall()
    code = (await browser.come_back(browser.providers.sso.authorize(asked, somebody())))["code"]
    rows = sql.execute("SELECT t::text FROM oauth_codes AS t").fetchall()
    for secret in (state, code, browser.verifier, *browser.cookies.values()):
        assert secret not in str(row) + str(rows)
        assert secret.encode().hex() not in str(row) + str(rows)


async def test_a_state_of_another_browser_is_shown_an_error_and_changes_nothing(
    browser: Browser, new_browser: NewBrowser, providers: Providers, sql: Sql
) -> None:
    """A user who is tricked into following an attacker's link is not signed in as the attacker."""
    back = providers.sso.authorize(await browser.start(), somebody())
    victim = new_browser()
    refused(await victim.get(back), 400, "INVALID_OAUTH_STATE")
    await victim.start()  # now with a cookie of their own
    shown = await victim.get(back, headers={"Accept": "text/html"})
    assert shown.status_code == 400
    assert shown.headers["content-type"].startswith("text/html")
    assert "sign in again" in shown.text
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (0,)
    assert "code" in await browser.come_back(back)  # it is still good where it was begun


@pytest.mark.parametrize("change", [{"state": "made up"}, {"state": ""}, {"state": "\0"}])
async def test_a_state_that_was_swapped_is_refused(
    browser: Browser, providers: Providers, change: dict[str, str]
) -> None:
    url = httpx.URL(providers.sso.authorize(await browser.start(), somebody()))
    response = await browser.get(str(url.copy_merge_params(change)))
    assert response.status_code == 400
    assert response.json()["error"]["code"] in ("INVALID_OAUTH_STATE", "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "cookie", ["bugrelay-oauth", "bugrelay-oauth=\xff", "=;;,\x01", "bugrelay-oauth=" + "x" * 5000]
)
async def test_a_cookie_that_is_none_is_no_browser(
    client: httpx.AsyncClient, browser: Browser, cookie: str
) -> None:
    query = {"return_to": SITE, "code_challenge": browser.challenge}
    headers = {"Cookie": cookie.encode("latin-1")}
    started = await client.get(f"{OAUTH}/sso", params=query, headers=headers)  # type: ignore[arg-type]
    assert started.status_code == 302
    assert "xxx" not in started.headers["set-cookie"]
    back = await client.get(f"{OAUTH}/callback/sso", params={"state": "x"}, headers=headers)  # type: ignore[arg-type]
    refused(back, 400, "INVALID_OAUTH_STATE")


async def test_a_state_is_good_once_and_for_ten_minutes(
    browser: Browser, providers: Providers, sql: Sql
) -> None:
    back = providers.sso.authorize(await browser.start(), somebody())
    assert "code" in await browser.come_back(back)
    refused(await browser.get(back), 400, "INVALID_OAUTH_STATE")
    late = providers.sso.authorize(await browser.start(), somebody())
    sql.execute("UPDATE oauth_requests SET expires_at = now()")
    refused(await browser.get(late), 400, "INVALID_OAUTH_STATE")


async def test_two_tabs_of_one_browser_do_not_stop_each_other(browser: Browser, providers: Providers) -> None:
    one, two = await browser.start(), await browser.start("other")
    assert "code" in await browser.come_back(providers.other.authorize(two, somebody("s-2")))
    assert "code" in await browser.come_back(providers.sso.authorize(one, somebody("s-1")))


async def test_a_code_of_one_issuer_is_not_sent_to_another(browser: Browser, providers: Providers) -> None:
    """The mix-up: the browser began with `sso`, and is sent to the callback of `other` (RFC 9700, section 4.4)."""
    back = providers.sso.authorize(await browser.start(), somebody())
    mixed = back.replace("/callback/sso", "/callback/other")
    assert (await browser.come_back(mixed))["error"] == "INVALID_OAUTH_STATE"
    assert providers.other.server.calls["/token"] == 0
    assert (await browser.get(back)).status_code == 400  # and the state is spent


async def test_an_issuer_in_the_response_that_is_another_is_a_mix_up(
    browser: Browser, providers: Providers
) -> None:
    back = providers.sso.authorize(await browser.start(), somebody())
    url = str(httpx.URL(back).copy_add_param("iss", providers.other.url))
    assert (await browser.come_back(url))["error"] == "OAUTH_FAILED"
    assert providers.sso.server.calls["/token"] == 0


async def test_the_same_subject_at_two_issuers_is_two_people(new_browser: NewBrowser, sql: Sql) -> None:
    await new_browser().sign_in(somebody("s-1", email="one@people.example"), "sso")
    await new_browser().sign_in(somebody("s-1", email="two@people.example"), "other")
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (2,)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"error": "access_denied"}, "OAUTH_DENIED"),
        ({"error": "server_error"}, "OAUTH_FAILED"),
        ({"error": "a secret"}, "OAUTH_FAILED"),
        ({}, "OAUTH_FAILED"),
        ({"code": "made up"}, "OAUTH_FAILED"),
    ],
)
async def test_a_refusal_by_the_provider_is_passed_on_as_an_error(
    browser: Browser, query: dict[str, str], code: str, job_log: Sequence[Mapping[str, Any]]
) -> None:
    (state,) = parse_qs(urlsplit(await browser.start()).query)["state"]
    back = await browser.get(f"{OAUTH}/callback/sso", params={"state": state, **query})
    assert sent_on(back) == {"next": "/bugs", "error": code}
    assert "secret" not in str(job_log)
    assert state not in str(job_log)


async def test_an_issuer_that_hangs_sends_the_browser_back_at_once(
    browser: Browser, providers: Providers, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    monkeypatch.setattr(provider_client, "PROVIDER_SECONDS", 0.5)
    providers.sso.server.hanging = {"/.well-known/openid-configuration"}
    query = {"return_to": f"{SITE}/signed-in?a=b", "code_challenge": browser.challenge}
    assert sent_on(await browser.get(f"{OAUTH}/sso", params=query))["error"] == "OAUTH_UNAVAILABLE"
    assert sql.execute("SELECT count(*) FROM oauth_requests").fetchone() == (0,)


async def test_a_wrong_nonce_signs_nobody_in(browser: Browser, providers: Providers, sql: Sql) -> None:
    """An ID token that somebody got for another sign-in."""
    providers.sso.claims = {"nonce": "of another sign-in"}
    assert (await browser.agree(somebody()))["error"] == "OAUTH_FAILED"
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (0,)


async def test_a_code_is_good_once_for_a_minute_and_for_its_verifier(browser: Browser, sql: Sql) -> None:
    code = (await browser.agree(somebody()))["code"]
    refused(await browser.exchange(code, verifier="v" * 43), 400, "INVALID_OAUTH_CODE")
    refused(await browser.exchange("made up"), 400, "INVALID_OAUTH_CODE")
    for length in (42, 129):
        assert bad_fields(await browser.exchange(code, verifier="v" * length)) == ["verifier"]
    signed_in(await browser.exchange(code))
    refused(await browser.exchange(code), 400, "INVALID_OAUTH_CODE")
    late = (await browser.agree(somebody()))["code"]
    sql.execute("UPDATE oauth_codes SET expires_at = now()")
    refused(await browser.exchange(late), 400, "INVALID_OAUTH_CODE")


async def test_twenty_exchanges_of_one_code_at_once_open_one_session(browser: Browser, sql: Sql) -> None:
    code = (await browser.agree(somebody()))["code"]
    statuses = [r.status_code for r in await asyncio.gather(*(browser.exchange(code) for _ in range(20)))]
    assert sorted(statuses) == [200] + [400] * 19
    assert sql.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


async def test_callbacks_at_once_make_one_account(
    new_browser: NewBrowser, providers: Providers, sql: Sql
) -> None:
    for i in range(5):
        browsers = [new_browser() for _ in range(6)]
        backs = [providers.sso.authorize(await one.start(), somebody(f"s-{i}")) for one in browsers]
        arrived = await asyncio.gather(
            *(one.come_back(back) for one, back in zip(browsers, backs, strict=True))
        )
        assert all("code" in one for one in arrived), arrived
        people = [signed_in(await one.exchange(b["code"])) for one, b in zip(browsers, arrived, strict=True)]
        assert len({person.id for person in people}) == 1
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (5,)


async def test_people_who_wish_for_one_name_at_once_each_get_one(
    new_browser: NewBrowser, providers: Providers, client: httpx.AsyncClient
) -> None:
    await register(client, "ada")
    people = [somebody(f"s-{i}", preferred_username="Ada") for i in range(4)]
    names = {(await new_browser().sign_in(person)).username for person in people}
    assert len(names) == 4
    assert all(name.startswith("Ada-") for name in names)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"preferred_username": "zoë müller"}, "zoe-muller"),
        ({"preferred_username": "s-1@people.example", "name": "Zoë M."}, "Zoe-M"),
        ({"preferred_username": "x" * 500}, "x" * 23),
        ({"preferred_username": None, "name": "李"}, "user-"),
        ({"preferred_username": None}, "user-"),
        ({"preferred_username": "\0" * 9}, "user-"),
        ({"preferred_username": {"a": 1}, "name": ["b"]}, "user-"),
    ],
)
async def test_a_username_is_made_of_the_providers_claims_and_never_of_the_address(
    browser: Browser, told: dict[str, Any], name: str
) -> None:
    person = await browser.sign_in(somebody() | told)
    assert person.username == name or (name == "user-" and person.username.startswith(name))
    assert "people" not in person.username


@pytest.mark.parametrize("display_name", ["x" * 101, "a\0b", "\ud800", "   "])
async def test_a_display_name_that_does_not_fit_is_left_out(
    browser: Browser, client: httpx.AsyncClient, display_name: str
) -> None:
    person = await browser.sign_in(somebody(name=display_name))
    profile = (await client.get("/api/v1/users/me", headers=person.headers)).json()["user"]
    assert profile["display_name"] is None


@pytest.mark.parametrize("email", [None, "", "no address", "a@" + "b" * 300, 7])
async def test_without_an_address_no_account_is_made(browser: Browser, email: object, sql: Sql) -> None:
    assert (await browser.agree(somebody(email=email)))["error"] == "OAUTH_EMAIL_MISSING"
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (0,)


async def test_a_banned_user_gets_an_error_and_no_session(browser: Browser, sql: Sql) -> None:
    person = await browser.sign_in(somebody())
    code = (await browser.agree(somebody()))["code"]
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (person.id,))
    refused(await browser.exchange(code), 403, "ACCOUNT_BANNED")
    assert (await browser.agree(somebody()))["error"] == "ACCOUNT_BANNED"
    assert sql.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


async def test_what_has_expired_is_deleted(browser: Browser, sql: Sql, client: httpx.AsyncClient) -> None:
    await browser.agree(somebody())
    await browser.start()
    sql.execute("UPDATE oauth_requests SET expires_at = now(); UPDATE oauth_codes SET expires_at = now()")
    from bugrelay.domain.accounts.tasks import clean_up

    app: Any = client._transport
    await clean_up(app.app.state.platform)
    counts = "SELECT (SELECT count(*) FROM oauth_requests), (SELECT count(*) FROM oauth_codes)"
    assert sql.execute(counts).fetchone() == (0, 0)
