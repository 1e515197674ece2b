"""The captcha of anonymous reports, against a verifier that listens on this machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import psycopg
import pytest

from tests.conftest import StartApp
from tests.factories import a_report, register
from tests.pace import PAUSE_SECONDS, patient
from tests.responses import bad_fields, refused

BUGS = "/api/v1/bugs"


class Verifier:
    """Answers every call with `answer` (a JSON value, or bytes of a whole HTTP response), and keeps the forms."""

    def __init__(self) -> None:
        self.answer: Any = {"success": True}
        self.delay_seconds = 0.0
        self.forms: list[dict[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            form = (await reader.readexactly(length)).decode()
            self.forms.append({name: values[0] for name, values in parse_qs(form).items()})
            await asyncio.sleep(self.delay_seconds)
            body = json.dumps(self.answer).encode() if not isinstance(self.answer, bytes) else b""
            start = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            writer.write(self.answer if isinstance(self.answer, bytes) else start + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@pytest.fixture
async def verifier() -> AsyncIterator[tuple[Verifier, str]]:
    """The verifier and its URL."""
    verifier = Verifier()
    server = await asyncio.start_server(verifier.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield verifier, f"http://127.0.0.1:{port}/siteverify"
    server.close()


def number_of_bugs(sql: psycopg.Connection[Any]) -> int:
    row = sql.execute("SELECT count(*) FROM bugs").fetchone()
    assert row is not None
    return int(row[0])


async def test_what_the_verifier_says_decides(
    start_app: StartApp, verifier: tuple[Verifier, str], sql: psycopg.Connection[Any]
) -> None:
    server, url = verifier
    settings: dict[str, Any] = {
        "recaptcha_secret_key": "the secret",
        "recaptcha_verify_url": url,
        "recaptcha_min_score": 0.5,
        "recaptcha_hostnames": ("board.example",),
        "recaptcha_action": "report",
    }
    good = {"success": True, "score": 0.5, "action": "report", "hostname": "board.example"}
    async with start_app(**settings) as client:

        async def sent(answer: Any) -> httpx.Response:
            server.answer = answer
            return await client.post(BUGS, json=a_report(recaptcha_token=f"token {len(server.forms)}"))

        assert (await sent(good)).status_code == 201
        assert server.forms == [{"secret": "the secret", "response": "token 0", "remoteip": "127.0.0.1"}]
        assert (await sent({**good, "score": 1})).status_code == 201
        for change in (
            {"score": 0.49},
            {"score": 0},
            {"action": "login"},
            {"action": None},
            {"hostname": "evil.example"},
            {"hostname": None},
            {"success": False, "error-codes": ["invalid-input-response"]},
            {"success": False, "error-codes": ["timeout-or-duplicate"]},
            {"success": False},
        ):
            refused(await sent({**good, **change}), 400, "RECAPTCHA_FAILED")
        assert number_of_bugs(sql) == 2


async def test_version_two_has_no_score(start_app: StartApp, verifier: tuple[Verifier, str]) -> None:
    _, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        assert (await client.post(BUGS, json=a_report())).status_code == 201


async def test_nonsense_from_the_verifier_is_503_and_makes_no_bug(
    start_app: StartApp, verifier: tuple[Verifier, str], sql: psycopg.Connection[Any]
) -> None:
    server, url = verifier
    page = b"<html>oops</html>"
    html = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    broken = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    answers: list[Any] = [{}, [], "yes", None, {"success": "true"}, {"success": 1}, {"success": None}]
    answers += [{"success": True, "score": "high"}, html, broken, b"", b"\x00\x01garbage\r\n\r\n"]
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        for i, answer in enumerate(answers):
            server.answer = answer
            response = await client.post(BUGS, json=a_report(recaptcha_token=f"token {i}"))
            refused(response, 503, "RECAPTCHA_UNAVAILABLE")
            assert int(response.headers["retry-after"]) >= 1
    assert number_of_bugs(sql) == 0
    assert len(server.forms) == len(answers)


async def test_a_verifier_that_hangs_or_is_away_is_503_within_the_deadline(
    start_app: StartApp, verifier: tuple[Verifier, str], sql: psycopg.Connection[Any]
) -> None:
    server, url = verifier
    server.delay_seconds = 30
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        began = time.monotonic()
        refused(await client.post(BUGS, json=a_report()), 503, "RECAPTCHA_UNAVAILABLE")
        assert time.monotonic() - began < patient(6) + PAUSE_SECONDS
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url="http://127.0.0.1:1/") as client:
        refused(await client.post(BUGS, json=a_report()), 503, "RECAPTCHA_UNAVAILABLE")
        assert (await client.get(BUGS)).status_code == 200
    assert number_of_bugs(sql) == 0


async def test_a_token_is_good_once(
    start_app: StartApp, verifier: tuple[Verifier, str], sql: psycopg.Connection[Any]
) -> None:
    _, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        assert (await client.post(BUGS, json=a_report(recaptcha_token="T"))).status_code == 201
        again = await client.post(BUGS, json=a_report(recaptcha_token="T", application_name="Other"))
        refused(again, 400, "RECAPTCHA_FAILED")
        answers = await asyncio.gather(
            *(client.post(BUGS, json=a_report(recaptcha_token="parallel")) for _ in range(8))
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7
        assert number_of_bugs(sql) == 2


# What str.strip, a form or a lenient decoder may pass over: ASCII and Unicode spaces, control and format characters.
INVISIBLE = (
    " \t\n\r\v\f\x01\x1c\x1f\x7f\x85\xa0\xad\u1680\u2003\u200b\u200d\u2028\u2060\u202f\u3000\ufeff\ufe0f"
)


async def test_no_invisible_character_makes_a_token_another(
    start_app: StartApp, verifier: tuple[Verifier, str]
) -> None:
    _, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        assert (await client.post(BUGS, json=a_report(recaptcha_token="aBcD"))).status_code == 201
        for extra in INVISIBLE:
            for token in (f" {extra} aBcD", f"aB{extra}cD{extra}"):
                again = await client.post(BUGS, json=a_report(recaptcha_token=token))
                refused(again, 400, "RECAPTCHA_FAILED")


async def test_width_makes_no_token_another_and_case_does(
    start_app: StartApp, verifier: tuple[Verifier, str]
) -> None:
    server, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        for token in ("aBcD", "abcd", "ABCD"):
            assert (await client.post(BUGS, json=a_report(recaptcha_token=f" {token}\n"))).status_code == 201
        assert [form["response"] for form in server.forms] == ["aBcD", "abcd", "ABCD"]
        wide = await client.post(BUGS, json=a_report(recaptcha_token="ａBcD"))
        refused(wide, 400, "RECAPTCHA_FAILED")


async def test_a_refused_report_uses_no_token_up(start_app: StartApp, verifier: tuple[Verifier, str]) -> None:
    server, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        assert bad_fields(await client.post(BUGS, json=a_report(title="x"))) == ["title"]
        assert server.forms == []
        assert (await client.post(BUGS, json=a_report())).status_code == 201


async def test_a_repeat_under_a_key_asks_nobody(start_app: StartApp, verifier: tuple[Verifier, str]) -> None:
    server, url = verifier
    headers = {"Idempotency-Key": "a key that is long enough"}
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        for _ in range(2):
            assert (await client.post(BUGS, json=a_report(), headers=headers)).status_code == 201
    assert len(server.forms) == 1


async def test_a_users_token_is_checked_when_it_is_there(
    start_app: StartApp, verifier: tuple[Verifier, str]
) -> None:
    server, url = verifier
    server.answer = {"success": False}
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        ada = await register(client, "ada")
        for token, status in ((None, 201), ("", 201), ("a token", 400)):
            response = await client.post(BUGS, json=a_report(recaptcha_token=token), headers=ada.headers)
            assert response.status_code == status
    assert len(server.forms) == 1


async def test_captcha_off_asks_nobody(start_app: StartApp) -> None:
    body = a_report()
    del body["recaptcha_token"]
    async with start_app(captcha="off") as client:
        assert (await client.post(BUGS, json=body)).status_code == 201


async def test_no_token_that_nobody_could_have_been_given_is_sent_on(
    start_app: StartApp, verifier: tuple[Verifier, str]
) -> None:
    server, url = verifier
    async with start_app(recaptcha_secret_key="s", recaptcha_verify_url=url) as client:
        refused(
            await client.post(BUGS, json=a_report(recaptcha_token="x" * 100_000)), 400, "RECAPTCHA_FAILED"
        )
        assert bad_fields(await client.post(BUGS, json=a_report(recaptcha_token="a\0b"))) == [
            "recaptcha_token"
        ]
        assert bad_fields(await client.post(BUGS, json=a_report(recaptcha_token=["x"]))) == [
            "recaptcha_token"
        ]
    assert server.forms == []
