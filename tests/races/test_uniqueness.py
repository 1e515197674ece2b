"""One of a kind, however many want to make it at the same moment."""

from __future__ import annotations

import asyncio
import io
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from PIL import Image

from tests.conftest import StartApp
from tests.factories import PASSWORD, a_report, make_admin, register, report
from tests.races.conftest import AssertTrue, at_once

Rows = psycopg.Connection[Any]


def number_of(sql: Rows, table: str) -> int:
    row = sql.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_50_reports_of_one_new_application_make_one_application_and_one_company(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    for turn in range(rounds):
        name = f"MyÄpp {turn}"
        wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)
        spellings = [
            name,
            f"  {name.lower()} ",
            name.upper(),
            wide,
            unicodedata.normalize("NFC", name),
            unicodedata.normalize("NFD", name),
            name.replace(" ", "   "),
        ]
        answers = await at_once(
            client.post(
                "/api/v1/bugs",
                json=a_report(
                    application_name=spellings[number % len(spellings)],
                    application_url=f"https://app.company{turn}.example/{number}",
                ),
            )
            for number in range(50)
        )
        assert statuses(answers) == {201: 50}
        assert len({answer.json()["bug"]["application_id"] for answer in answers}) == 1
        assert len({answer.json()["bug"]["assigned_company_id"] for answer in answers}) == 1
        assert number_of(sql, "applications") == number_of(sql, "companies") == turn + 1
    await assert_counters_are_true()


async def test_one_address_registered_20_times_is_one_account(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    for turn in range(rounds):
        addresses = [f"ada{turn}@people.example", f"ADA{turn}@People.Example"]
        answers = await at_once(
            client.post(
                "/api/v1/auth/register",
                json={"email": addresses[n % 2], "username": f"ada{turn}x{n}", "password": PASSWORD},
            )
            for n in range(20)
        )
        assert statuses(answers) == {201: 1, 409: 19}
        assert number_of(sql, "users") == number_of(sql, "sessions") == turn + 1
    await assert_counters_are_true()


async def test_one_username_registered_20_times_is_one_account(
    client: httpx.AsyncClient, sql: Rows, rounds: int
) -> None:
    for turn in range(rounds):
        names = [f"Grace{turn}", f"grace{turn}", f"GRACE{turn}"]
        answers = await at_once(
            client.post(
                "/api/v1/auth/register",
                json={"email": f"{turn}-{n}@people.example", "username": names[n % 3], "password": PASSWORD},
            )
            for n in range(20)
        )
        assert statuses(answers) == {201: 1, 409: 19}
        assert number_of(sql, "users") == turn + 1


async def test_a_refresh_token_used_20_times_is_good_once_at_most(
    client: httpx.AsyncClient, sql: Rows, rounds: int
) -> None:
    for turn in range(rounds):
        person = await register(client, f"person{turn}")
        body = {"refresh_token": person.refresh_token}
        answers = await at_once(client.post("/api/v1/auth/refresh", json=body) for _ in range(20))
        assert statuses(answers) == {200: 1, 401: 19}
        (won,) = [answer.json() for answer in answers if answer.status_code == 200]
        again = await client.post("/api/v1/auth/refresh", json={"refresh_token": won["refresh_token"]})
        assert again.status_code == 401  # the reuse ended the session


async def test_an_idempotency_key_sent_20_times_makes_one_bug(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    person = await register(client, "careful")
    for turn in range(rounds):
        headers = {"Idempotency-Key": f"the only key of turn {turn}", **(person.headers if turn % 2 else {})}
        answers = await at_once(
            client.post("/api/v1/bugs", json=a_report(recaptcha_token=f"token {n}"), headers=headers)
            for n in range(20)
        )
        assert set(statuses(answers)) <= {201, 409}
        assert len({answer.json()["bug"]["id"] for answer in answers if answer.status_code == 201}) == 1
        replayed = await client.post("/api/v1/bugs", json=a_report(), headers=headers)
        assert replayed.status_code == 201
        assert replayed.headers["idempotency-replayed"] == "true"
        assert number_of(sql, "bugs") == turn + 1
    await assert_counters_are_true()


async def test_25_pictures_at_once_are_20(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    painter, admin = await register(client, "painter"), await register(client, "moderator")
    make_admin(sql, admin)
    drawn = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(drawn, "PNG")
    for _ in range(rounds):
        bug = await report(client, painter)
        answers = await at_once(
            client.post(
                f"/api/v1/bugs/{bug['id']}/attachments",
                files={"file": ("red.png", drawn.getvalue())},
                headers=(painter, admin)[number % 2].headers,
            )
            for number in range(25)
        )
        assert statuses(answers) == {201: 20, 400: 5}
        row = sql.execute("SELECT count(*) FROM attachments WHERE bug_id = %s", (bug["id"],)).fetchone()
        assert row == (20,)
    await assert_counters_are_true()  # and no file too many


@pytest.fixture
async def verifier_url() -> AsyncIterator[str]:
    """A captcha verifier that finds every token good, every time."""
    body = b'{"success": true, "score": 0.9}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()


async def test_a_captcha_token_sent_10_times_makes_one_bug(
    start_app: StartApp, sql: Rows, verifier_url: str, rounds: int
) -> None:
    async with start_app(
        database_pool=90, recaptcha_secret_key="a secret", recaptcha_verify_url=verifier_url
    ) as client:
        for turn in range(rounds):
            answers = await at_once(
                client.post("/api/v1/bugs", json=a_report(recaptcha_token=f"token {turn}")) for _ in range(10)
            )
            assert statuses(answers) == {201: 1, 400: 9}
            refused = [answer.json()["error"]["code"] for answer in answers if answer.status_code == 400]
            assert set(refused) == {"RECAPTCHA_FAILED"}
            assert number_of(sql, "bugs") == turn + 1
