"""`POST /auth/register`: who may have which address, name and password."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.accounts.conftest import AUTH, sign_in
from tests.conftest import SignUp
from tests.factories import PASSWORD
from tests.responses import TOKENS, bad_fields, refused


def a_form(**changes: Any) -> dict[str, Any]:
    return {"email": "ada@people.example", "username": "ada", "password": PASSWORD, **changes}


async def register(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post(f"{AUTH}/register", json=a_form(**changes))


async def test_registration_signs_in(client: httpx.AsyncClient) -> None:
    response = await register(client, display_name="Ada L.")
    assert response.status_code == 201
    assert response.headers["cache-control"] == "private, no-store"
    answer = response.json()
    assert set(answer) == {"message", "user", *TOKENS}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 15 * 60)
    user = answer["user"]
    assert set(user) == {
        "id", "email", "username", "display_name", "avatar_url", "auth_provider", "is_email_verified", "is_admin",
        "created_at", "updated_at", "last_active_at",
    }  # fmt: skip
    assert (user["email"], user["username"], user["display_name"]) == ("ada@people.example", "ada", "Ada L.")
    assert (user["is_email_verified"], user["is_admin"], user["avatar_url"]) == (False, False, None)
    profile = await client.get(
        f"{AUTH}/profile", headers={"Authorization": f"Bearer {answer['access_token']}"}
    )
    assert profile.json()["user"]["id"] == user["id"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "ADA@People.Example", "username": "other"}, "EMAIL_ALREADY_EXISTS"),
        ({"email": "other@people.example", "username": "aDa"}, "USERNAME_TAKEN"),
    ],
)
async def test_addresses_and_names_are_unique_without_case(
    client: httpx.AsyncClient, sign_up: SignUp, changes: dict[str, str], code: str
) -> None:
    await sign_up("ada")
    refused(await register(client, **changes), 409, code)


async def test_one_address_registered_twenty_times_at_once_makes_one_account(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    attempts = [register(client, email="Ada@people.example", username=f"ada{i}") for i in range(20)]
    statuses = sorted([response.status_code for response in await asyncio.gather(*attempts)])
    assert statuses == [201] + [409] * 19
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (1,)
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)


@pytest.mark.parametrize(
    "username", ["ab", "a" * 31, "a b", "ädä", "a/b", "deleted user", "<b>", "", None, 5]
)
async def test_usernames_that_do_not_fit(client: httpx.AsyncClient, username: Any) -> None:
    assert bad_fields(await register(client, username=username)) == ["username"]


@pytest.mark.parametrize("username", ["abc", "A.b-c_9", "a" * 30, "  trimmed  "])
async def test_usernames_that_fit(client: httpx.AsyncClient, username: str) -> None:
    response = await register(client, username=username)
    assert response.json()["user"]["username"] == username.strip()


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@people.example",
        "a b@people.example",
        "ada@people",
        "ada@people..example",
        "x" * 250 + "@a.example",
    ],
)
async def test_addresses_that_are_none(client: httpx.AsyncClient, email: str) -> None:
    assert bad_fields(await register(client, email=email)) == ["email"]


async def test_every_bad_field_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post(
        f"{AUTH}/register", json={"email": "x", "username": "x", "display_name": "x" * 101}
    )
    assert bad_fields(response) == ["display_name", "email", "password", "username"]


async def test_an_international_address_signs_in_by_either_spelling_of_its_domain(
    client: httpx.AsyncClient,
) -> None:
    registered = await register(client, email="Jörg@exämple.example")
    assert registered.status_code == 201
    for spelling in ("jörg@exämple.example", "JÖRG@xn--exmple-cua.example", " Jörg@EXÄMPLE.example "):
        assert (await sign_in(client, spelling)).status_code == 200, spelling


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "1234567",
        "password",
        "PASSWORD",
        "12345678",
        "qwertyui",
        "aaaaaaaa",
        "iloveyou",
        "password1",
        "x" * 129,
    ],
)
async def test_weak_passwords(client: httpx.AsyncClient, sql: psycopg.Connection[Any], password: str) -> None:
    refused(await register(client, password=password), 400, "WEAK_PASSWORD")
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (0,)


@pytest.mark.parametrize("password", ["lovelace@people.example", "LOVELACE", "ada_lovelace", "Ada Lovelace"])
async def test_passwords_that_are_the_address_or_a_name(client: httpx.AsyncClient, password: str) -> None:
    mine = {"email": "lovelace@people.example", "username": "ada_lovelace", "display_name": "Ada Lovelace"}
    refused(await register(client, **mine, password=password), 400, "WEAK_PASSWORD")


@pytest.mark.parametrize(
    "password",
    [
        "密码密码密码密码",
        "пароль, который длиннее семидесяти двух байтов, если записать его в UTF-8",
        "  spaces count  ",
        "\t tabs and\nlines ",
        "🦄🐙" * 4,
        "a\u0308" * 4,
        "x9!" * 42 + "yz",
    ],
)
async def test_passwords_are_taken_as_typed(client: httpx.AsyncClient, password: str) -> None:
    assert (await register(client, password=password)).status_code == 201
    assert (await sign_in(client, "ada@people.example", password)).status_code == 200
    refused(await sign_in(client, "ada@people.example", password + "x"), 401, "INVALID_CREDENTIALS")
    refused(await sign_in(client, "ada@people.example", password[:-1]), 401, "INVALID_CREDENTIALS")


async def test_no_password_is_cut_after_72_bytes(client: httpx.AsyncClient) -> None:
    assert (await register(client, password="x" * 100 + "first")).status_code == 201
    refused(await sign_in(client, "ada@people.example", "x" * 100 + "other"), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("password", ["null\\u0000inside", "\\ud800 alone"])
async def test_passwords_that_cannot_be_text(client: httpx.AsyncClient, password: str) -> None:
    body = json.dumps(a_form(password="*")).replace("*", password)
    headers = {"Content-Type": "application/json"}
    response = await client.post(f"{AUTH}/register", content=body, headers=headers)
    refused(response, 400, "VALIDATION_ERROR")


async def test_a_name_with_markup_is_inert_in_every_response(client: httpx.AsyncClient) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    answer = (await register(client, display_name=hostile)).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    shown = [answer["user"]["display_name"]]
    shown.append((await sign_in(client, "ada@people.example")).json()["user"]["display_name"])
    shown.append((await client.get(f"{AUTH}/profile", headers=headers)).json()["user"]["display_name"])
    shown.append((await client.get(f"/api/v1/users/{answer['user']['id']}")).json()["user"]["display_name"])
    assert set(shown) == {"<\u2060img src=x onerror=alert(1)>"}
