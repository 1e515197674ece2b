"""Mailed links: verify an address, set a new password; good once, and for nobody else."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import psycopg
import pytest
import redis

from bugrelay.infra.jobs.queue import MAIL_QUEUE
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate, Settings
from tests.api.v1.accounts.conftest import AUTH, sign_in, works
from tests.conftest import StartApp, WorkCounted
from tests.factories import PASSWORD, Person, register
from tests.infra.mail.postbox import Postbox, comes_true, link_in, parts_of, token_in
from tests.responses import bad_fields, refused

NEW_PASSWORD = "quite another password"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}
Sql = psycopg.Connection[Any]


async def is_verified(client: httpx.AsyncClient, person: Person) -> bool:
    profile = await client.get(f"{AUTH}/profile", headers=person.headers)
    return bool(profile.json()["user"]["is_email_verified"])


async def ask_for_reset(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post(f"{AUTH}/password-reset", json={"email": email})


async def reset(client: httpx.AsyncClient, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    body = {"token": token, "new_password": password}
    return await client.post(f"{AUTH}/password-reset/confirm", json=body)


async def verify(client: httpx.AsyncClient, token: str, **headers: str) -> httpx.Response:
    return await client.get(f"{AUTH}/verify-email", params={"token": token}, headers=headers)


@pytest.fixture
async def verification(ada: Person, worker: Platform, postbox: Postbox) -> str:
    """The token of the link that Ada was mailed when she registered."""
    return token_in(await postbox.next(ada.email))


@pytest.fixture
async def reset_token(client: httpx.AsyncClient, ada: Person, worker: Platform, postbox: Postbox) -> str:
    await ask_for_reset(client, ada.email)
    return token_in(await postbox.next(ada.email, subject="password"))


async def test_registration_mails_a_link(
    ada: Person, worker: Platform, postbox: Postbox, settings: Settings
) -> None:
    mail = await postbox.next(ada.email)
    assert mail["Subject"] == "Verify your address for BugRelay"
    assert mail["From"] == settings.mail_from
    text, html = parts_of(mail)
    link = link_in(mail)
    assert link.startswith(f"{settings.public_url}/api/v1/auth/verify-email?token=")
    assert link in html
    assert "Hello ada" in text
    assert len(token_in(mail)) * 6 >= 128  # bits, in base64


async def test_the_link_verifies_the_address_once(
    client: httpx.AsyncClient, ada: Person, verification: str
) -> None:
    response = await verify(client, verification)
    assert response.status_code == 200
    assert set(response.json()) == {"message", "user"}
    assert response.json()["user"]["is_email_verified"] is True
    assert response.headers["cache-control"] == "no-store"
    assert await is_verified(client, ada)
    refused(await verify(client, verification), 400, "INVALID_LINK_TOKEN")


async def test_programs_that_fetch_links_use_none_up(
    client: httpx.AsyncClient, ada: Person, verification: str
) -> None:
    head = await client.head(f"{AUTH}/verify-email", params={"token": verification})
    assert (head.status_code, head.content) == (200, b"")
    for _ in range(2):
        page = await verify(client, verification, **BROWSER)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
    assert not await is_verified(client, ada)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    action, token = _form_of(page.text)
    done = await client.post(action, data={"token": token})
    assert done.status_code == 200
    assert "verified" in done.text
    assert await is_verified(client, ada)
    again = await client.post(action, data={"token": token})
    assert again.status_code == 400
    assert "wrong, used or expired" in again.text


def _form_of(html: str) -> tuple[str, str]:
    action = re.search(r'<form method="post" action="([^"]+)"', html)
    token = re.search(r'name="token" value="([^"]+)"', html)
    assert action is not None
    assert token is not None
    return action[1], token[1]


async def test_pages_show_what_the_address_holds_inert_and_name_the_site(start_app: StartApp) -> None:
    async with start_app(site_name="<b>Bugs & Co</b>") as client:
        for path in (f"{AUTH}/verify-email", "/account/reset-password"):
            page = await client.get(path, params={"token": '"><script>alert(1)</script>'}, headers=BROWSER)
            assert page.status_code == 200
            assert "<script" not in page.text
            assert "&lt;b&gt;Bugs &amp; Co&lt;/b&gt;" in page.text


@pytest.mark.parametrize("query", ["", "?token=", "?token=%FF", "?token=%00", "?x=" + "&x=" * 200])
async def test_pages_without_a_usable_token(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/account/reset-password{query}", headers=BROWSER)).status_code == 400
    assert (await client.get(f"{AUTH}/verify-email{query}", headers=BROWSER)).status_code == 400
    assert (await client.get(f"{AUTH}/verify-email{query}")).status_code == 400


@pytest.mark.parametrize("path", ["/account/verify-email", "/account/reset-password"])
async def test_pages_read_forms_and_nothing_else(client: httpx.AsyncClient, path: str) -> None:
    fields = {"token": "x", "new_password": NEW_PASSWORD}
    for status, body in (
        (400, {"data": fields}),
        (415, {"content": b""}),
        (400, {"content": b"token=%FF", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        (400, {"content": b"\xff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        (415, {"json": fields}),
    ):
        response = await client.post(path, **body)  # type: ignore[arg-type]
        assert response.status_code == status, (body, response.text)


async def test_forms_of_pages_are_limited_like_their_routes(start_app: StartApp, no_counts: None) -> None:
    async with start_app(rate_limit_sign_in=Rate(2, 60)) as client:
        statuses = [
            (await client.post("/account/verify-email", data={"token": "x"})).status_code for _ in range(3)
        ]
    assert statuses == [400, 400, 429]


@pytest.mark.parametrize("token", ["x", "é", "a" * 5000, "A" * 43])
async def test_tokens_that_are_none(client: httpx.AsyncClient, token: str) -> None:
    refused(await verify(client, token), 400, "INVALID_LINK_TOKEN")
    refused(await reset(client, token), 400, "INVALID_LINK_TOKEN")


async def test_links_are_bound_to_their_purpose(
    client: httpx.AsyncClient, ada: Person, verification: str, reset_token: str
) -> None:
    refused(await reset(client, verification), 400, "INVALID_LINK_TOKEN")
    refused(await verify(client, reset_token), 400, "INVALID_LINK_TOKEN")
    assert not await is_verified(client, ada)
    assert (await verify(client, verification)).status_code == 200
    assert (await reset(client, reset_token)).status_code == 200


async def test_links_expire(client: httpx.AsyncClient, verification: str, reset_token: str, sql: Sql) -> None:
    lives = sql.execute("SELECT purpose, extract(epoch FROM expires_at - created_at) FROM one_time_links")
    hours = {purpose: round(float(seconds) / 3600, 1) for purpose, seconds in lives}
    assert hours == {"verify_email": 48, "reset_password": 1}
    sql.execute("UPDATE one_time_links SET expires_at = now()")
    refused(await verify(client, verification), 400, "INVALID_LINK_TOKEN")
    refused(await reset(client, reset_token), 400, "INVALID_LINK_TOKEN")


async def test_a_newer_link_replaces_the_older(
    client: httpx.AsyncClient, ada: Person, verification: str, postbox: Postbox
) -> None:
    asked = await client.post(f"{AUTH}/resend-verification", headers=ada.headers)
    assert asked.status_code == 200
    newer = token_in(await postbox.next(ada.email, after=1))
    refused(await verify(client, verification), 400, "INVALID_LINK_TOKEN")
    assert (await verify(client, newer)).status_code == 200
    refused(await client.post(f"{AUTH}/resend-verification", headers=ada.headers), 409, "ALREADY_VERIFIED")


async def test_a_job_that_runs_again_mails_the_same_link_and_revives_no_used_or_older_one(
    client: httpx.AsyncClient, ada: Person, worker: Platform, postbox: Postbox, sql: Sql
) -> None:
    """As after a kill between the sending and the end of the job."""
    await postbox.next(ada.email)
    stored = "SELECT id::text, token_hash FROM one_time_links"
    row = sql.execute(stored).fetchone()
    assert row is not None

    async def again(link_id: str) -> None:
        async with worker.work() as work:
            await worker.jobs.add(
                work.session, "accounts.mail_link", queue=MAIL_QUEUE,
                user_id=ada.id, link_id=link_id, purpose="verify_email",
            )  # fmt: skip
        await comes_true(lambda: sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))

    await again(row[0])
    assert len(postbox.mails(ada.email)) == 1  # one file, for it is the same mail
    assert sql.execute(stored).fetchone() == row
    token = token_in(postbox.mails(ada.email)[0])
    await again("00000000-0000-7000-8000-000000000000")
    assert sql.execute(stored).fetchone() == row
    assert (await verify(client, token)).status_code == 200
    await again(row[0])
    refused(await verify(client, token), 400, "INVALID_LINK_TOKEN")


async def test_a_reset_sets_the_password_and_ends_every_session(
    client: httpx.AsyncClient, ada: Person, reset_token: str
) -> None:
    response = await reset(client, reset_token)
    assert (response.status_code, set(response.json())) == (200, {"message"})
    assert not await works(client, ada)
    refused(await sign_in(client, ada.email, PASSWORD), 401, "INVALID_CREDENTIALS")
    signed_in = await sign_in(client, ada.email, NEW_PASSWORD)
    assert signed_in.json()["user"]["is_email_verified"] is True  # who read the mail has proved the address
    refused(await reset(client, reset_token), 400, "INVALID_LINK_TOKEN")


async def test_one_reset_link_used_ten_times_at_once_works_once(
    client: httpx.AsyncClient, reset_token: str
) -> None:
    uses = (reset(client, reset_token, f"password number {i}") for i in range(10))
    statuses = sorted([response.status_code for response in await asyncio.gather(*uses)])
    assert statuses == [200] + [400] * 9


@pytest.mark.parametrize("password", ["short", "password", "ada@people.example"])
async def test_a_weak_password_leaves_the_link_good(
    client: httpx.AsyncClient, ada: Person, reset_token: str, password: str
) -> None:
    refused(await reset(client, reset_token, password), 400, "WEAK_PASSWORD")
    assert await works(client, ada)
    assert (await reset(client, reset_token)).status_code == 200


async def test_the_reset_link_opens_a_page_with_the_form(
    client: httpx.AsyncClient, ada: Person, worker: Platform, postbox: Postbox, settings: Settings
) -> None:
    await ask_for_reset(client, ada.email)
    link = link_in(await postbox.next(ada.email, subject="password"))
    assert link.startswith(f"{settings.public_url}/")
    page = await client.get(link.removeprefix(settings.public_url), headers=BROWSER)
    action, token = _form_of(page.text)
    weak = await client.post(action, data={"token": token, "new_password": "password"})
    assert weak.status_code == 400
    assert "first that anybody would try" in weak.text
    assert _form_of(weak.text) == (action, token)
    done = await client.post(action, data={"token": token, "new_password": "пароль и пробел "})
    assert done.status_code == 200
    assert (await sign_in(client, ada.email, "пароль и пробел ")).status_code == 200


async def test_a_changed_password_makes_an_older_reset_link_worthless(
    client: httpx.AsyncClient, ada: Person, reset_token: str
) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await client.put(f"{AUTH}/password", json=body, headers=ada.headers)).status_code == 200
    refused(await reset(client, reset_token, "yet another password"), 400, "INVALID_LINK_TOKEN")


async def test_a_reset_has_the_same_response_with_and_without_an_account(
    client: httpx.AsyncClient, ada: Person, sql: Sql, work_counted: WorkCounted
) -> None:
    sql.execute("DELETE FROM procrastinate_jobs")
    answers, costs = [], []
    for email in (ada.email, "nobody@people.example", ada.email.upper(), "other@people.example"):
        with work_counted() as work:
            response = await ask_for_reset(client, email)
        answers.append((response.status_code, response.json(), set(response.headers)))
        costs.append(work.exchanges)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 200
    assert costs[2] == costs[3]  # by then, every statement is prepared
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (4,)


async def test_nobody_is_mailed_for_an_unknown_address(
    client: httpx.AsyncClient, ada: Person, worker: Platform, postbox: Postbox, sql: Sql
) -> None:
    await ask_for_reset(client, "nobody@people.example")
    await ask_for_reset(client, ada.email)
    await postbox.next(ada.email, subject="password")
    await comes_true(lambda: sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))
    assert {mail["To"] for mail in postbox.mails()} == {ada.email}


async def test_reset_wants_an_address(client: httpx.AsyncClient) -> None:
    assert bad_fields(await ask_for_reset(client, "none")) == ["email"]


async def test_mails_are_limited_by_caller_and_by_address(
    start_app: StartApp, sql: Sql, no_counts: None
) -> None:
    async with start_app(rate_limit_mail=Rate(2, 60)) as client:
        ada = await register(client, "ada")
        statuses = [
            (await client.post(f"{AUTH}/resend-verification", headers=ada.headers)).status_code
            for _ in range(3)
        ]
        assert statuses == [200, 429, 429]
        assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (2,)
        grace = await register(client, "grace")  # who gets an account, and can ask for the mail later
        assert grace.username == "grace"
        assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (2,)


def resets_mailed(sql: Sql) -> int:
    row = sql.execute(
        "SELECT count(*) FROM procrastinate_jobs"
        " WHERE args ->> 'user_id' IS NOT NULL AND args ->> 'purpose' = 'reset_password'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("taken", ["email", "username"])
async def test_a_registration_that_is_refused_charges_nothing(
    start_app: StartApp, sql: Sql, no_counts: None, taken: str
) -> None:
    """The budget is two: the first registration and one new link use it up, whatever was refused between them."""
    async with start_app(rate_limit_mail=Rate(2, 60)) as client:
        ada = await register(client, "ada")
        for number in range(25):
            body = {"email": f"ada{number}@people.example", "username": f"ada{number}", "password": PASSWORD}
            body[taken] = {"email": ada.email, "username": "ada"}[taken]
            assert (await client.post(f"{AUTH}/register", json=body)).status_code == 409
        again = await client.post(f"{AUTH}/resend-verification", headers=ada.headers)
        assert again.status_code == 200
        grace = await client.post(
            f"{AUTH}/register",
            json={"email": "ada7@people.example", "username": "grace", "password": PASSWORD},
        )
        assert grace.status_code == 201


async def test_other_mails_do_not_use_up_the_limit_of_password_resets(
    start_app: StartApp, sql: Sql, no_counts: None
) -> None:
    async with start_app(rate_limit_mail=Rate(3, 60)) as client:
        ada = await register(client, "ada")
        statuses = [
            (await client.post(f"{AUTH}/resend-verification", headers=ada.headers)).status_code
            for _ in range(5)
        ]
        assert statuses[-1] == 429
        answers = [await ask_for_reset(client, ada.email) for _ in range(4)]
        assert [response.status_code for response in answers] == [200, 200, 200, 429]
        assert resets_mailed(sql) == 3


async def test_the_response_to_a_reset_does_not_reveal_the_use_of_the_address(
    start_app: StartApp, no_counts: None
) -> None:
    """Neither do the rate headers: they count by the caller alone."""
    async with start_app(rate_limit_mail=Rate(60, 60)) as client:
        ada = await register(client, "ada")
        for _ in range(21):
            over = await ask_for_reset(client, ada.email)
        unknown = await ask_for_reset(client, "nobody@people.example")
    assert (over.status_code, over.text) == (unknown.status_code, unknown.text)
    assert int(over.headers["x-ratelimit-remaining"]) - int(unknown.headers["x-ratelimit-remaining"]) == 1
    assert over.headers["x-ratelimit-limit"] == unknown.headers["x-ratelimit-limit"] == "60"


async def test_an_address_over_its_limit_gets_no_mail_and_the_response_does_not_say_so(
    start_app: StartApp, sql: Sql, no_counts: None
) -> None:
    async with start_app(rate_limit_mail=Rate(30, 60)) as client:
        ada = await register(client, "ada")
        answers = [await ask_for_reset(client, ada.email) for _ in range(25)]
        assert {response.status_code for response in answers} == {200}
        assert len({response.text for response in answers}) == 1
    assert resets_mailed(sql) == 20


async def test_no_count_of_mails_is_kept_under_a_readable_address(
    start_app: StartApp, settings: Settings, no_counts: None
) -> None:
    async with start_app(rate_limit_mail=Rate(30, 60)) as client:
        await register(client, "canary")
    with redis.Redis.from_url(settings.redis_url) as connection:
        keys = [key.decode() for key in connection.scan_iter("*mail*")]
    assert any("mail_to_address" in key for key in keys)
    assert not any("canary" in key for key in keys)
