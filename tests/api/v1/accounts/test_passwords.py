"""`PUT /auth/password`: the owner changes the password."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.accounts.conftest import AUTH, as_person, sign_in, works
from tests.factories import PASSWORD, Person
from tests.responses import bad_fields, refused

NEW_PASSWORD = "quite another password"


async def change(
    client: httpx.AsyncClient, person: Person, new: str = NEW_PASSWORD, *, current: str = PASSWORD
) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return await client.put(f"{AUTH}/password", json=body, headers=person.headers)


async def test_a_change_ends_every_other_session(client: httpx.AsyncClient, ada: Person) -> None:
    other = as_person(ada, (await sign_in(client, ada.email)).json())
    response = await change(client, ada)
    assert (response.status_code, set(response.json())) == (200, {"message"})
    assert await works(client, ada)
    assert not await works(client, other)
    refused(await sign_in(client, ada.email, PASSWORD), 401, "INVALID_CREDENTIALS")
    assert (await sign_in(client, ada.email, NEW_PASSWORD)).status_code == 200


async def test_the_current_password_is_asked_for(client: httpx.AsyncClient, ada: Person) -> None:
    refused(await change(client, ada, current="not that one"), 401, "INVALID_CURRENT_PASSWORD")
    refused(await change(client, ada, "short", current="not that one"), 401, "INVALID_CURRENT_PASSWORD")
    assert (await sign_in(client, ada.email, PASSWORD)).status_code == 200


async def test_the_new_password_must_be_another(client: httpx.AsyncClient, ada: Person) -> None:
    refused(await change(client, ada, PASSWORD), 400, "SAME_PASSWORD")


@pytest.mark.parametrize("weak", ["short", "password", "ADA@people.example", "Ada Lovelace", "x" * 129])
async def test_the_new_password_must_not_be_weak(client: httpx.AsyncClient, ada: Person, weak: str) -> None:
    await client.put(f"{AUTH}/profile", json={"display_name": "Ada Lovelace"}, headers=ada.headers)
    refused(await change(client, ada, weak), 400, "WEAK_PASSWORD")


async def test_a_password_that_was_replaced_since_it_was_proven_changes_nothing(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    platform = client._transport.app.state.platform  # type: ignore[attr-defined]
    verify = platform.passwords.verify

    async def slow(stored: str | None, password: str) -> bool:
        matches = await verify(stored, password)
        sql.execute("UPDATE users SET password_set_at = now()")
        return bool(matches)

    platform.passwords.verify = slow
    refused(await change(client, ada), 401, "INVALID_CURRENT_PASSWORD")
    body = {"password": PASSWORD}
    refused(
        await client.request("DELETE", "/api/v1/users/me", json=body, headers=ada.headers),
        401,
        "INVALID_CURRENT_PASSWORD",
    )
    assert await works(client, ada)


async def test_what_does_not_fit(client: httpx.AsyncClient, ada: Person) -> None:
    response = await client.put(f"{AUTH}/password", json={"new_password": 5}, headers=ada.headers)
    assert bad_fields(response) == ["current_password", "new_password"]
    refused(await client.put(f"{AUTH}/password", json={}), 401, "AUTH_REQUIRED")
