"""`POST /auth/login`: the right password, the wrong one, and many of either."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.errors import ServiceUnavailable
from bugrelay.settings import Rate
from tests.api.v1.accounts.conftest import (
    AUTH,
    another_process,
    as_person,
    from_address,
    sign_in,
    works,
)
from tests.conftest import HeldHashes, StartApp, WorkCounted
from tests.factories import PASSWORD, Person, register
from tests.responses import TOKENS, refused

WRONG = "not the right one"


async def test_signing_in_opens_a_session(client: httpx.AsyncClient, ada: Person) -> None:
    response = await sign_in(client, "ADA@people.example")
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"message", "user", *TOKENS}
    assert answer["user"]["id"] == ada.id
    assert await works(client, as_person(ada, answer))


async def test_known_and_unknown_addresses_get_the_same_response(
    client: httpx.AsyncClient, ada: Person
) -> None:
    bodies = []
    for email in (ada.email, "nobody@people.example", "", "no address at all"):
        response = await sign_in(client, email, WRONG)
        error = refused(response, 401, "INVALID_CREDENTIALS")
        bodies.append({**error, "timestamp": "", "headers": sorted(set(response.headers) - {"x-request-id"})})
    assert all(body == bodies[0] for body in bodies)


async def test_known_and_unknown_addresses_cost_the_same(
    client: httpx.AsyncClient, ada: Person, work_counted: WorkCounted
) -> None:
    """As many exchanges with the database and as many hashes: there is nothing to measure."""
    costs = []
    for email in (ada.email, "nobody@people.example", ada.email, "nobody@people.example"):
        with work_counted() as work:
            refused(await sign_in(client, email, WRONG), 401, "INVALID_CREDENTIALS")
        costs.append((work.exchanges, work.hashes))
    assert costs[2] == costs[3]  # by then, every statement is prepared
    assert costs[2][0] > 0
    assert costs[2][1] == 1


async def test_erased_accounts_are_nobodys(client: httpx.AsyncClient, ada: Person) -> None:
    await client.request("DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=ada.headers)
    for email in (ada.email, ""):
        refused(await sign_in(client, email), 401, "INVALID_CREDENTIALS")


async def test_five_wrong_passwords_make_that_address_wait(proxied: httpx.AsyncClient) -> None:
    await register(proxied, "ada")
    for _ in range(5):
        refused(
            await sign_in(proxied, "ada@people.example", WRONG, address="10.0.0.1"),
            401,
            "INVALID_CREDENTIALS",
        )
    locked = await sign_in(proxied, "ada@people.example", PASSWORD, address="10.0.0.1")
    refused(locked, 423, "ACCOUNT_LOCKED")
    assert 1 <= int(locked.headers["retry-after"]) <= 30
    elsewhere = await sign_in(proxied, "ada@people.example", address="10.0.0.2")
    assert elsewhere.status_code == 200
    assert (await sign_in(proxied, "grace@people.example", WRONG, address="10.0.0.1")).status_code == 401


async def test_addresses_without_an_account_are_locked_like_others(proxied: httpx.AsyncClient) -> None:
    await register(proxied, "ada")
    answers = []
    for email in ("ada@people.example", "nobody@people.example"):
        statuses = [(await sign_in(proxied, email, WRONG, address="10.0.0.1")).status_code for _ in range(7)]
        answers.append(statuses)
    assert answers[0] == answers[1] == [401] * 5 + [423] * 2


async def test_each_further_wrong_password_doubles_the_wait_up_to_fifteen_minutes(
    proxied: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    await register(proxied, "ada")
    waits = []
    for _ in range(12):
        response = await sign_in(proxied, "ada@people.example", WRONG, address="10.0.0.1")
        if response.status_code == 423:
            waits.append(int(response.headers["retry-after"]))
            sql.execute("UPDATE sign_in_failures SET at = at - %s * interval '1 second'", (waits[-1],))
            sql.execute("UPDATE sign_in_failures SET at = greatest(at, now() - interval '14 minutes')")
            await sign_in(proxied, "ada@people.example", WRONG, address="10.0.0.1")
    # Some seconds may have passed since the guess.
    assert all(full - 10 <= wait <= full for wait, full in zip(waits, (30, 60, 120), strict=False)), waits
    assert max(waits) <= 15 * 60


async def test_guesses_from_everywhere_lock_out_strangers_but_not_where_the_owner_was(
    proxied: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    await proxied.post(
        f"{AUTH}/register",
        json={"email": "ada@people.example", "username": "ada", "password": PASSWORD},
        headers=from_address("2001:db8:1:2::9"),
    )
    await sign_in(proxied, "ada@people.example", WRONG, address="10.9.9.9")
    sql.execute(
        "INSERT INTO sign_in_failures (id, account_hash, ip_address) SELECT gen_random_uuid(), account_hash,"
        " '10.1.0.' || n FROM sign_in_failures, generate_series(1, 100) AS n"
    )
    locked = await sign_in(proxied, "ada@people.example", address="10.2.0.1")
    refused(locked, 423, "ACCOUNT_LOCKED")
    assert 1 <= int(locked.headers["retry-after"]) <= 15 * 60
    home = await sign_in(proxied, "ada@people.example", address="2001:db8:1:2::77")
    assert home.status_code == 200
    sql.execute("UPDATE sign_in_failures SET at = at - interval '15 minutes'")
    assert (await sign_in(proxied, "ada@people.example", address="10.2.0.1")).status_code == 200


async def test_the_right_password_clears_what_was_guessed_from_here(
    client: httpx.AsyncClient, ada: Person
) -> None:
    for _ in range(3):
        for _ in range(4):
            await sign_in(client, ada.email, WRONG)
        assert (await sign_in(client, ada.email)).status_code == 200


async def test_a_guess_that_was_not_checked_is_not_counted(client: httpx.AsyncClient, ada: Person) -> None:
    """Too many wait for the hasher: nobody has learnt anything, and the owner is not locked out by it."""
    passwords = client._transport.app.state.platform.passwords  # type: ignore[attr-defined]
    verify = passwords.verify

    async def overloaded(_stored: str | None, _password: str) -> bool:
        raise ServiceUnavailable

    passwords.verify = overloaded
    for _ in range(6):
        refused(await sign_in(client, ada.email), 503, "SERVICE_UNAVAILABLE")
    passwords.verify = verify
    assert (await sign_in(client, ada.email)).status_code == 200


async def test_a_guess_that_was_broken_off_keeps_nobody_waiting_for_long(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    """A process was killed while it checked five: their rows remain."""
    await sign_in(client, ada.email, WRONG)
    sql.execute(
        "INSERT INTO sign_in_failures (id, account_hash, ip_address, under_way, at)"
        " SELECT gen_random_uuid(), account_hash, ip_address, true, now() - interval '11 seconds'"
        " FROM sign_in_failures, generate_series(1, 5)"
    )
    assert (await sign_in(client, ada.email)).status_code == 200


async def test_a_stolen_session_cannot_guess_the_password_either(
    client: httpx.AsyncClient, ada: Person
) -> None:
    calls = [("PUT", f"{AUTH}/password", {"current_password": WRONG, "new_password": "something else"})] * 3
    calls += [("DELETE", "/api/v1/users/me", {"password": WRONG})] * 2
    for method, path, body in calls:
        response = await client.request(method, path, json=body, headers=ada.headers)
        refused(response, 401, "INVALID_CURRENT_PASSWORD")
    right = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=ada.headers
    )
    refused(right, 423, "ACCOUNT_LOCKED")
    assert "retry-after" in right.headers


async def test_a_password_is_hashed_again_when_the_parameters_have_changed(
    client: httpx.AsyncClient, ada: Person, start_app: StartApp, sql: psycopg.Connection[Any]
) -> None:
    def stored() -> str:
        row = sql.execute("SELECT password_hash FROM users WHERE id = %s", (ada.id,)).fetchone()
        assert row is not None
        return str(row[0])

    assert stored().startswith("$argon2id$v=19$m=64,t=1,p=1$")
    platform = client._transport.app.state.platform  # type: ignore[attr-defined]
    changed = replace(platform.settings, argon2_memory_kib=128, argon2_iterations=2)
    async with another_process(changed) as other:
        both = await asyncio.gather(sign_in(other, ada.email), sign_in(other, ada.email))
        assert [response.status_code for response in both] == [200, 200]
        assert stored().startswith("$argon2id$v=19$m=128,t=2,p=1$")
        assert (await sign_in(other, ada.email)).status_code == 200
    assert await works(client, ada)


async def test_a_password_changed_during_the_sign_in_does_not_let_the_old_one_in(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    """The password is proven before the session is opened; in between it is replaced."""
    platform = client._transport.app.state.platform  # type: ignore[attr-defined]
    verify = platform.passwords.verify

    async def slow(stored: str | None, password: str) -> bool:
        matches = await verify(stored, password)
        sql.execute(
            "UPDATE users SET password_hash = 'another', password_set_at = now() WHERE id = %s", (ada.id,)
        )
        return bool(matches)

    platform.passwords.verify = slow
    refused(await sign_in(client, ada.email), 401, "INVALID_CREDENTIALS")


async def test_fifty_sign_ins_at_once_do_not_stall_reads(
    start_app: StartApp, sql: psycopg.Connection[Any], held_hashes: HeldHashes
) -> None:
    """With real hashing parameters: reads are answered while the hashes are made, few of them at a time."""
    memory_kib = 19456
    async with start_app(argon2_memory_kib=memory_kib, argon2_iterations=2) as client:
        ada = await register(client, "ada")
        emails = people_with_the_password_of(sql, ada, count=50)
        signing_in = asyncio.gather(*(sign_in_when_there_is_room(client, email) for email in emails))
        await held_hashes.begun()
        for _ in range(20):
            assert (await client.get("/api/v1/bugs")).status_code == 200
        assert not signing_in.done()
        held_hashes.release()
        assert [response.status_code for response in await signing_in] == [200] * 50
    assert held_hashes.most_at_once * memory_kib < 600 * 1000


def people_with_the_password_of(sql: psycopg.Connection[Any], person: Person, *, count: int) -> list[str]:
    """Addresses of new accounts."""
    emails = [f"p{number}@people.example" for number in range(count)]
    for email in emails:
        sql.execute(
            "INSERT INTO users (id, email, email_key, username, password_hash) SELECT gen_random_uuid(), %s, %s, %s,"
            " password_hash FROM users WHERE id = %s",
            (email, email, email.partition("@")[0], person.id),
        )
    return emails


async def sign_in_when_there_is_room(client: httpx.AsyncClient, email: str) -> httpx.Response:
    """Ask again while too many others wait for their hash."""
    while (response := await sign_in(client, email)).status_code == 503:
        await asyncio.sleep(0.1)
    return response


async def test_sign_ins_are_limited_by_address(start_app: StartApp, no_counts: None) -> None:
    async with start_app(rate_limit_sign_in=Rate(3, 60)) as client:
        statuses = [(await sign_in(client, f"nobody{i}@people.example", WRONG)).status_code for i in range(4)]
    assert statuses == [401] * 3 + [429]


@pytest.mark.parametrize(
    "body", [{}, {"email": 5, "password": WRONG}, {"email": "a@b.example", "password": None}, []]
)
async def test_what_does_not_fit(client: httpx.AsyncClient, body: Any) -> None:
    refused(await client.post(f"{AUTH}/login", json=body), 400, "VALIDATION_ERROR")
