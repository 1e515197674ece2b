"""Sessions: renewed, listed, ended; in every process from the next request on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.settings import Settings
from tests.api.v1.accounts.conftest import AUTH, another_process, as_person, from_address, sign_in, works
from tests.factories import Person, register
from tests.responses import TOKENS, bad_fields, refused


async def refresh(client: httpx.AsyncClient, token: str, **headers: str) -> httpx.Response:
    return await client.post(f"{AUTH}/refresh", json={"refresh_token": token}, headers=headers)


async def test_a_refresh_token_gives_a_new_pair(client: httpx.AsyncClient, ada: Person) -> None:
    response = await refresh(client, ada.refresh_token)
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"message", *TOKENS}
    assert answer["refresh_token"] != ada.refresh_token
    assert await works(client, as_person(ada, answer))
    assert (await refresh(client, answer["refresh_token"])).status_code == 200


async def test_a_client_of_the_ticket_api_reads_and_sends_its_own_keys(
    client: httpx.AsyncClient, ada: Person
) -> None:
    body = {"refreshToken": ada.refresh_token}
    answer = (await client.post("/api/v1/auth/refresh", json=body)).json()
    assert (answer["accessToken"], answer["refreshToken"], answer["tokenType"], answer["expiresIn"]) == (
        answer["access_token"], answer["refresh_token"], "Bearer", answer["expires_in"],
    )  # fmt: skip
    assert bad_fields(await client.post("/api/v1/auth/refresh", json={})) == ["refresh_token"]


async def test_a_used_refresh_token_ends_its_session_and_no_other(
    client: httpx.AsyncClient, ada: Person
) -> None:
    other = as_person(ada, (await sign_in(client, ada.email)).json())
    renewed = as_person(ada, (await refresh(client, ada.refresh_token)).json())
    refused(await refresh(client, ada.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    assert not await works(client, ada)
    assert not await works(client, renewed)
    refused(await refresh(client, renewed.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    assert await works(client, other)


async def test_twenty_parallel_uses_of_one_refresh_token_give_one_success(
    client: httpx.AsyncClient, ada: Person
) -> None:
    for _ in range(3):
        token = (await sign_in(client, ada.email)).json()["refresh_token"]
        statuses = sorted(
            [
                response.status_code
                for response in await asyncio.gather(*(refresh(client, token) for _ in range(20)))
            ]
        )
        assert statuses == [200] + [401] * 19


@pytest.mark.parametrize("token", ["", "x", "é" * 50, "a" * 10_000])
async def test_refresh_tokens_that_are_none(client: httpx.AsyncClient, token: str) -> None:
    response = await refresh(client, token)
    refused(response, 401, "INVALID_REFRESH_TOKEN")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_tokens_of_one_kind_do_not_pass_as_the_other(client: httpx.AsyncClient, ada: Person) -> None:
    refused(await refresh(client, ada.access_token), 401, "INVALID_REFRESH_TOKEN")
    response = await client.get(f"{AUTH}/profile", headers={"Authorization": f"Bearer {ada.refresh_token}"})
    refused(response, 401, "INVALID_TOKEN")


async def test_an_expired_refresh_token(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    sql.execute("UPDATE refresh_tokens SET expires_at = now()")
    refused(await refresh(client, ada.refresh_token), 401, "INVALID_REFRESH_TOKEN")


async def test_logout_ends_this_session_in_every_process(
    client: httpx.AsyncClient, ada: Person, settings: Settings
) -> None:
    other = as_person(ada, (await sign_in(client, ada.email)).json())
    async with another_process(settings) as elsewhere:
        assert await works(elsewhere, ada)
        assert (await client.post(f"{AUTH}/logout", headers=ada.headers)).status_code == 200
        assert not await works(elsewhere, ada)
        refused(await refresh(elsewhere, ada.refresh_token), 401, "INVALID_REFRESH_TOKEN")
        assert await works(elsewhere, other)
        assert (await elsewhere.get("/api/v1/bugs", headers=ada.headers)).status_code == 401
        assert (await elsewhere.post(f"{AUTH}/logout-all", headers=other.headers)).status_code == 200
        assert not await works(client, other)


async def test_a_demotion_holds_from_the_next_request_on(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    for is_admin in (True, False):
        sql.execute("UPDATE users SET is_admin = %s", (is_admin,))
        profile = (await client.get(f"{AUTH}/profile", headers=ada.headers)).json()["user"]
        assert profile["is_admin"] is is_admin


async def test_my_sessions(proxied: httpx.AsyncClient) -> None:
    ada = await register(proxied, "ada")
    grace = await register(proxied, "grace")
    headers = {"User-Agent": "Phone\x7f 1.0", **from_address("2001:db8::5")}
    body = {"email": ada.email, "password": "correct horse battery staple"}
    phone = as_person(ada, (await proxied.post(f"{AUTH}/login", json=body, headers=headers)).json())

    listed = (await proxied.get(f"{AUTH}/sessions", headers=ada.headers)).json()
    assert [set(one) for one in listed["sessions"]] == [
        {"id", "created_at", "last_used_at", "ip_address", "user_agent", "current"}
    ] * 2
    assert [one["current"] for one in listed["sessions"]] == [False, True]
    assert [one["ip_address"] for one in listed["sessions"]] == ["2001:db8::5", "127.0.0.1"]
    assert listed["sessions"][0]["user_agent"] == "Phone 1.0"
    assert listed["pagination"]["total"] == 2

    path = f"{AUTH}/sessions/{listed['sessions'][0]['id']}"
    refused(await proxied.delete(path, headers=grace.headers), 404, "SESSION_NOT_FOUND")
    assert await works(proxied, phone)
    assert (await proxied.delete(path, headers=ada.headers)).status_code == 200
    assert not await works(proxied, phone)
    refused(await proxied.delete(path, headers=ada.headers), 404, "SESSION_NOT_FOUND")
    refused(await proxied.delete(f"{AUTH}/sessions/x", headers=ada.headers), 400, "INVALID_ID")
    assert (await proxied.get(f"{AUTH}/sessions", headers=ada.headers)).json()["pagination"]["total"] == 1


async def test_a_renewed_session_shows_where_it_was_last_used(proxied: httpx.AsyncClient) -> None:
    ada = await register(proxied, "ada")
    renewed = await refresh(proxied, ada.refresh_token, **from_address("10.0.0.7"))
    sessions = await proxied.get(f"{AUTH}/sessions", headers=as_person(ada, renewed.json()).headers)
    assert [one["ip_address"] for one in sessions.json()["sessions"]] == ["10.0.0.7"]


async def test_sessions_that_cannot_be_renewed_any_more_are_neither_listed_nor_ended(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    aged = sql.execute(
        "UPDATE sessions SET last_used_at = now() - interval '31 days' RETURNING id"
    ).fetchall()
    recent = as_person(ada, (await sign_in(client, ada.email)).json())
    listed = (await client.get(f"{AUTH}/sessions", headers=recent.headers)).json()
    assert [one["current"] for one in listed["sessions"]] == [True]
    for (session_id,) in aged:
        refused(
            await client.delete(f"{AUTH}/sessions/{session_id}", headers=recent.headers),
            404,
            "SESSION_NOT_FOUND",
        )


async def test_nothing_that_opens_a_session_is_stored(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    dump = "\n".join(
        str(row) for row in sql.execute("SELECT r::text, s::text FROM refresh_tokens r, sessions s")
    )
    assert ada.refresh_token not in dump
    assert ada.access_token not in dump
