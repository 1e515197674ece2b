"""Many guesses of one password at the same moment: as many are checked as one after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.settings import Settings
from tests.api.v1.accounts.conftest import another_process
from tests.conftest import StartApp
from tests.factories import PASSWORD, Person, register

AUTH = "/api/v1/auth"
Guess = Callable[[httpx.AsyncClient, Person, str], Any]


def sign_in(client: httpx.AsyncClient, person: Person, password: str) -> Any:
    return client.post(f"{AUTH}/login", json={"email": person.email, "password": password})


def change(client: httpx.AsyncClient, person: Person, password: str) -> Any:
    body = {"current_password": password, "new_password": "quite another password"}
    return client.put(f"{AUTH}/password", json=body, headers=person.headers)


def erase(client: httpx.AsyncClient, person: Person, password: str) -> Any:
    return client.request("DELETE", "/api/v1/users/me", json={"password": password}, headers=person.headers)


async def statuses(calls: list[Any]) -> Counter[int]:
    return Counter(response.status_code for response in await asyncio.gather(*calls))


@pytest.fixture
async def ada(client: httpx.AsyncClient) -> Person:
    return await register(client, "ada")


@pytest.mark.parametrize("guess", [sign_in, change, erase])
async def test_of_twenty_wrong_ones_at_once_five_are_checked(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any], guess: Guess
) -> None:
    for _ in range(5):
        assert await statuses([guess(client, ada, f"wrong {i}") for i in range(20)]) == {401: 5, 423: 15}
        assert (await guess(client, ada, PASSWORD)).status_code == 423
        sql.execute("DELETE FROM sign_in_failures")


async def test_of_twenty_wrong_ones_in_two_processes_on_all_routes_five_are_checked(
    client: httpx.AsyncClient, ada: Person, settings: Settings, sql: psycopg.Connection[Any]
) -> None:
    async with another_process(settings) as other:
        for _ in range(5):
            calls = [
                guess(board, ada, f"wrong {i}")
                for i in range(4)
                for board in (client, other)
                for guess in (sign_in, change, erase)
            ]
            assert await statuses(calls) == {401: 5, 423: 19}
            sql.execute("DELETE FROM sign_in_failures")


async def test_of_twenty_wrong_ones_without_redis_five_are_checked(start_app: StartApp) -> None:
    async with start_app(redis_url="redis://127.0.0.1:1") as client:
        ada = await register(client, "ada")
        assert await statuses([sign_in(client, ada, f"wrong {i}") for i in range(20)]) == {401: 5, 423: 15}


async def test_an_address_without_an_account_gets_the_same_responses(client: httpx.AsyncClient) -> None:
    nobody = Person("", "nobody", "nobody@people.example", "", "")
    assert await statuses([sign_in(client, nobody, f"wrong {i}") for i in range(20)]) == {401: 5, 423: 15}


async def test_after_the_wait_one_is_checked(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    await statuses([sign_in(client, ada, f"wrong {i}") for i in range(5)])
    sql.execute("UPDATE sign_in_failures SET at = at - interval '31 seconds'")
    assert await statuses([sign_in(client, ada, f"wrong {i}") for i in range(10)]) == {401: 1, 423: 9}


async def test_the_right_password_is_never_taken_for_a_guess(
    client: httpx.AsyncClient, ada: Person, settings: Settings
) -> None:
    """Also after four wrong ones, many times at once, in two processes: they wait for each other."""
    async with another_process(replace(settings, database_pool=30)) as other:
        for _ in range(4):
            assert (await sign_in(client, ada, "wrong")).status_code == 401
        calls = [sign_in(board, ada, PASSWORD) for _ in range(10) for board in (client, other)]
        assert await statuses(calls) == {200: 20}


async def test_many_sign_ins_at_once_leave_no_guess_behind(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    assert await statuses([sign_in(client, ada, PASSWORD) for _ in range(30)]) == {200: 30}
    assert sql.execute("SELECT count(*) FROM sign_in_failures").fetchone() == (0,)
