"""Everything about me, given to me; and everything that says who I am, gone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.profiles.export import SECTIONS
from bugrelay.infra.platform import Platform
from tests.api.v1.accounts.conftest import AUTH, from_address, sign_in, works
from tests.factories import PASSWORD, Person, a_report, make_member, register, report
from tests.infra.mail.postbox import Postbox, comes_true, working
from tests.responses import refused

Sql = psycopg.Connection[Any]
ME = "/api/v1/users/me"
CANARY = "canary@people.example"


def rows_that_mention(sql: Sql, text: str) -> list[tuple[str, str]]:
    """Table and row, of all tables; also where the text lies in bytes."""
    tables = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    mentions = "position(lower(%s) in lower(t::text)) > 0 OR position(%s in t::text) > 0"
    values = (text, text.encode().hex())
    return [
        (table, str(row[0]))
        for (table,) in tables
        for row in sql.execute(f'SELECT t::text FROM "{table}" AS t WHERE {mentions}', values)
    ]


async def erase(client: httpx.AsyncClient, person: Person, password: str = PASSWORD) -> httpx.Response:
    return await client.request("DELETE", ME, json={"password": password}, headers=person.headers)


@pytest.fixture
async def canary(client: httpx.AsyncClient, sql: Sql, worker: Platform, postbox: Postbox) -> dict[str, Any]:
    """Somebody who has done everything that leaves a trace."""
    person = await register(client, "canary_name", email=CANARY)
    await postbox.next(CANARY)
    headers = person.headers
    changes = {"display_name": "Canary Display", "avatar_url": "https://canary-avatar.example/a.png"}
    await client.put(f"{AUTH}/profile", json=changes, headers=headers)
    bug = await report(
        client,
        person,
        application_name="Paper",
        application_url="https://paper.example",
        contact_email=CANARY,
    )
    path = f"/api/v1/bugs/{bug['id']}"
    keyed = {**headers, "Idempotency-Key": "canary-key"}
    calls = [
        await client.post("/api/v1/bugs", json=a_report(contact_email=CANARY), headers=keyed),
        await client.post(f"{path}/vote", headers=headers),
        await client.post(f"{path}/comments", json={"content": "Same here"}, headers=headers),
        await client.patch(path, json={"title": "Another title for it"}, headers=headers),
        await client.post(f"{path}/flag", json={"reason": "spam"}, headers=headers),
        await client.post(
            f"/api/v1/companies/{bug['assigned_company_id']}/claim",
            json={"email": "canary@paper.example"},
            headers=headers,
        ),
        await client.post(f"{AUTH}/password-reset", json={"email": CANARY}),
    ]
    make_member(sql, person, bug["assigned_company_id"])
    calls.append(await client.patch(f"{path}/status", json={"status": "reviewing"}, headers=headers))
    for _ in range(2):
        await sign_in(client, CANARY, "not the right one")
    await postbox.next(CANARY, subject="password")
    return {"person": person, "bug_id": bug["id"], "statuses": [one.status_code for one in calls]}


async def test_the_export_holds_everything_and_no_secret(
    client: httpx.AsyncClient, canary: dict[str, Any], sql: Sql
) -> None:
    person = canary["person"]
    response = await client.get(f"{ME}/export", headers=person.headers)
    assert response.status_code == 200
    assert "attachment" in response.headers["content-disposition"]
    document = response.json()
    assert document["account"]["email"] == CANARY
    assert document["account"]["display_name"] == "Canary Display"
    filled = {name for name, rows in document.items() if rows}
    assert filled >= {
        "account", "sessions", "one_time_links", "sign_in_failures", "company_memberships", "company_claims", "bugs",
        "bug_texts", "votes", "comments", "status_changes",
    }, canary["statuses"]  # fmt: skip
    assert document["bug_texts"][0]["contact_email"] == CANARY
    assert document["comments"][0]["content"] == "Same here"
    stored = sql.execute("SELECT password_hash FROM users").fetchone()
    assert stored is not None
    for secret in (stored[0], "argon2", person.refresh_token, "token_hash", "password_hash", "storage_key"):
        assert secret not in response.text


def test_the_export_knows_every_table_that_names_a_user(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = 'users'::regclass"
        ).fetchall()
    exported = {column.class_.__tablename__ for _, columns in SECTIONS.values() for column in columns}
    assert {row[0] for row in rows} - exported == set()


async def test_the_export_of_somebody_else_is_not_mine(
    client: httpx.AsyncClient, canary: dict[str, Any]
) -> None:
    grace = await register(client, "grace")
    response = await client.get(f"{ME}/export", headers=grace.headers)
    assert "canary" not in response.text.lower()
    refused(await client.get(f"{ME}/export"), 401, "AUTH_REQUIRED")


async def test_the_export_begins_with_the_account_and_knows_no_strangers_address(
    proxied: httpx.AsyncClient,
) -> None:
    await sign_in(proxied, "ada@people.example", "too early", address="198.51.100.7")
    headers = from_address("2001:db8:1:2::9")
    body = {"email": "ada@people.example", "username": "ada", "password": PASSWORD}
    made = (await proxied.post(f"{AUTH}/register", json=body, headers=headers)).json()
    await sign_in(proxied, "ada@people.example", "a stranger's", address="198.51.100.8")
    await sign_in(proxied, "ada@people.example", "mistyped", address="2001:db8:1:2::77")
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    response = await proxied.get(f"{ME}/export", headers=bearer)
    failures = sorted(response.json()["sign_in_failures"], key=lambda failure: failure["at"])
    assert [failure["ip_address"] for failure in failures] == [None, "2001:db8:1:2::/64"]
    assert all(failure["at"] >= made["user"]["created_at"] for failure in failures)
    assert "198.51.100" not in response.text


async def test_erasure_asks_for_the_password(client: httpx.AsyncClient, ada: Person) -> None:
    refused(await erase(client, ada, "not the right one"), 401, "INVALID_CURRENT_PASSWORD")
    refused(await client.request("DELETE", ME, json={}, headers=ada.headers), 400, "VALIDATION_ERROR")
    assert await works(client, ada)


async def test_after_erasure_no_row_says_who_it_was(
    client: httpx.AsyncClient, canary: dict[str, Any], sql: Sql
) -> None:
    person = canary["person"]
    before = {table for table, _ in rows_that_mention(sql, "canary")}
    assert before >= {"users", "bug_texts", "one_time_links", "company_claims"}
    assert (await erase(client, person)).status_code == 200
    assert rows_that_mention(sql, "canary") == []
    for table in (
        "sessions",
        "refresh_tokens",
        "one_time_links",
        "sign_in_failures",
        "company_members",
        "company_claims",
    ):
        assert sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


async def test_what_was_written_stays_and_votes_stay_counted(
    client: httpx.AsyncClient, canary: dict[str, Any], sql: Sql
) -> None:
    person = canary["person"]
    await erase(client, person)
    bug = (await client.get(f"/api/v1/bugs/{canary['bug_id']}")).json()["bug"]
    assert (bug["reporter"]["id"], bug["reporter"]["username"]) == (person.id, "deleted user")
    assert bug["vote_count"] == 1
    assert [(one["user"]["username"], one["content"]) for one in bug["comments"]] == [
        ("deleted user", "Same here")
    ]
    assert sql.execute("SELECT count(*) FROM bug_votes").fetchone() == (1,)
    refused(await client.get(f"/api/v1/users/{person.id}"), 404, "USER_NOT_FOUND")


async def test_after_erasure_nothing_opens_the_account_and_its_name_is_free(
    client: httpx.AsyncClient, ada: Person
) -> None:
    await erase(client, ada)
    assert not await works(client, ada)
    refused(await sign_in(client, ada.email), 401, "INVALID_CREDENTIALS")
    response = await client.post(f"{AUTH}/refresh", json={"refresh_token": ada.refresh_token})
    refused(response, 401, "INVALID_REFRESH_TOKEN")
    again = await register(client, "ada")
    assert again.id != ada.id
    assert (await erase(client, again)).status_code == 200  # two erased accounts do not collide
    assert (await register(client, "ada")).id not in (ada.id, again.id)


async def test_a_link_asked_for_before_the_erasure_is_not_mailed(
    client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    settings = client._transport.app.state.platform.settings  # type: ignore[attr-defined]
    await erase(client, ada)
    async with working(settings):
        await comes_true(lambda: sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))
    assert Postbox(settings.bugrelay_home).mails() == []


async def test_a_write_that_comes_after_the_erasure_is_refused(
    client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    """One that was signed in when the account was erased: the session held, the account is gone."""
    bug = await report(client)
    for _ in range(5):
        person = await register(client, "racer")
        erasing = asyncio.create_task(erase(client, person))
        path = f"/api/v1/bugs/{bug['id']}/comments"
        texts = [client.post(path, json={"content": "Too late?"}, headers=person.headers) for _ in range(5)]
        statuses = {response.status_code for response in await asyncio.gather(*texts)}
        assert (await erasing).status_code == 200
        assert statuses <= {201, 401}
    late = sql.execute(
        "SELECT count(*) FROM comments JOIN users ON users.id = user_id WHERE comments.created_at > erased_at"
    ).fetchone()
    assert late is not None
    assert sql.execute(
        "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE erased_at IS NOT NULL"
    ).fetchone() == (0,)
