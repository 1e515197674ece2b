"""The captcha against a verifier of our own that lies, drips, hangs and vanishes."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
import structlog

from bugrelay.infra.security import captcha
from bugrelay.infra.security.captcha import (
    AnyToken,
    NoCaptcha,
    Recaptcha,
    RecaptchaFailed,
    RecaptchaUnavailable,
    captcha_from,
)
from bugrelay.settings import SettingError, load_settings
from tests.pace import undisturbed

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Verifier:
    """An HTTP server that remembers the forms it got and answers as the test says."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.open_now = 0
        self.answer: Answer = json_answer({"success": True})
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.forms.append(parse_qs((await reader.readexactly(length)).decode()))
            await self.answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


def raw_json_response(body: bytes, *, status: str = "200 OK", headers: str = "") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


def json_answer(value: Any) -> Answer:
    return raw_json_response(json.dumps(value).encode(), headers="Content-Type: application/json\r\n")


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    fake = Verifier()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    yield fake
    server.close()


async def asked(verifier: Verifier, token: str | None = "tok", /, **settings: str) -> None:
    environ = {
        "RECAPTCHA_SECRET_KEY": "s3cret",
        "RECAPTCHA_VERIFY_URL": f"http://127.0.0.1:{verifier.port}/siteverify",
    }
    recaptcha = captcha_from(load_settings(environ | settings))
    assert isinstance(recaptcha, Recaptcha)
    try:
        await recaptcha.verify(token, remote_address="203.0.113.9")
    finally:
        await recaptcha.close()


async def test_the_verifier_gets_secret_response_and_address(verifier: Verifier) -> None:
    await asked(verifier, "a+b&c=d é")
    assert verifier.forms == [{"secret": ["s3cret"], "response": ["a+b&c=d é"], "remoteip": ["203.0.113.9"]}]


async def test_the_proxy_that_the_environment_names_is_asked_and_passed_by_where_it_says_so(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{verifier.port}")
    await asked(verifier, RECAPTCHA_VERIFY_URL="http://captcha.invalid/siteverify")
    assert len(verifier.forms) == 1
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    await asked(verifier)
    assert len(verifier.forms) == 2


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        ({"success": True}, {}),
        ({"success": True, "hostname": "bugs.example.org"}, {}),
        ({"success": True, "hostname": "Bugs.Example.ORG"}, {"RECAPTCHA_HOSTNAMES": "a.b,bugs.EXAMPLE.org"}),
        ({"success": True, "score": 0.5}, {}),
        ({"success": True, "score": 1}, {"RECAPTCHA_MIN_SCORE": "1"}),
        ({"success": True, "score": 0}, {"RECAPTCHA_MIN_SCORE": "0"}),
        ({"success": True, "score": 0.9, "action": "report"}, {"RECAPTCHA_ACTION": "report"}),
        ({"success": True, "score": 0.9, "action": "anything"}, {}),
    ],
)
async def test_a_good_token_passes(
    verifier: Verifier, answer: dict[str, object], settings: dict[str, str]
) -> None:
    verifier.answer = json_answer(answer)
    await asked(verifier, **settings)


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        ({"success": False}, {}),
        ({"success": False, "error-codes": ["timeout-or-duplicate"]}, {}),
        ({"success": False, "error-codes": ["invalid-input-response"]}, {}),
        ({"success": False, "error-codes": "nonsense"}, {}),
        ({"success": False, "error-codes": [{}, 5]}, {}),
        ({"success": False, "score": 0.9}, {}),
        ({"success": True, "score": 0.49}, {}),
        ({"success": True, "score": 0.89}, {"RECAPTCHA_MIN_SCORE": "0.9"}),
        ({"success": True, "score": 0.9, "action": "login"}, {"RECAPTCHA_ACTION": "report"}),
        ({"success": True, "score": 0.9}, {"RECAPTCHA_ACTION": "report"}),
        ({"success": True, "hostname": "evil.example"}, {"RECAPTCHA_HOSTNAMES": "bugs.example.org"}),
        ({"success": True, "hostname": None}, {"RECAPTCHA_HOSTNAMES": "bugs.example.org"}),
        ({"success": True}, {"RECAPTCHA_HOSTNAMES": "bugs.example.org"}),
    ],
)
async def test_a_bad_token_is_refused(
    verifier: Verifier, answer: dict[str, object], settings: dict[str, str]
) -> None:
    verifier.answer = json_answer(answer)
    with pytest.raises(RecaptchaFailed) as caught:
        await asked(verifier, **settings)
    assert (caught.value.code, caught.value.status) == ("RECAPTCHA_FAILED", 400)


@pytest.mark.parametrize("token", [None, "", "   ", "x" * 4097, "tok\ud800"])
async def test_what_can_be_no_token_is_refused_without_a_call(verifier: Verifier, token: str | None) -> None:
    with pytest.raises(RecaptchaFailed):
        await asked(verifier, token)
    assert verifier.forms == []


@pytest.mark.parametrize(
    "answer",
    [
        raw_json_response(b""),
        raw_json_response(b"<html>"),
        raw_json_response(b"\xff\xfe"),
        raw_json_response(b'{"success": true'),
        raw_json_response(b'{"success": NaN}'),
        raw_json_response(b'{"success": true, "score": ' + b"9" * 5000 + b"}"),
        raw_json_response(b'{"success": true, "score": NaN}'),
        raw_json_response(b'{"success": true, "x": "\xff"}'),
        raw_json_response(b"[" * 60_000),
        raw_json_response(b'{"success": true, "x": "' + b"a" * 70_000 + b'"}'),
        raw_json_response(b'{"success": true}', status="201 Created"),
        raw_json_response(b'{"success": true}', status="500 Oops"),
        raw_json_response(b"", status="302 Found", headers="Location: /elsewhere\r\n"),
        raw_json_response(gzip.compress(b'{"success": true}'), headers="Content-Encoding: gzip\r\n"),
        json_answer([]),
        json_answer(True),
        json_answer(None),
        json_answer({}),
        json_answer({"success": "true"}),
        json_answer({"success": 1}),
        json_answer({"success": None}),
        json_answer({"success": True, "score": "0.9"}),
        json_answer({"success": True, "score": True}),
        json_answer({"success": True, "score": None}),
        json_answer({"success": True, "score": -1}),
        json_answer({"success": True, "score": 7}),
    ],
)
async def test_nonsense_from_the_verifier_is_unavailable(verifier: Verifier, answer: Answer) -> None:
    verifier.answer = answer
    with pytest.raises(RecaptchaUnavailable) as caught:
        await asked(verifier)
    assert (caught.value.code, caught.value.status) == ("RECAPTCHA_UNAVAILABLE", 503)
    assert int(caught.value.headers["Retry-After"]) > 0
    assert len(verifier.forms) == 1


@pytest.mark.parametrize("code", ["invalid-input-secret", "missing-input-secret"])
async def test_our_own_misconfiguration_fails_closed_and_is_logged(verifier: Verifier, code: str) -> None:
    verifier.answer = json_answer({"success": False, "error-codes": [code]})
    with structlog.testing.capture_logs() as lines, pytest.raises(RecaptchaUnavailable):
        await asked(verifier)
    assert {"event": "captcha_misconfigured", "error_codes": [code], "log_level": "error"} in lines


async def test_neither_token_nor_secret_is_logged(verifier: Verifier) -> None:
    verifier.answer = raw_json_response(b"no")
    with structlog.testing.capture_logs() as lines, pytest.raises(RecaptchaUnavailable):
        await asked(verifier, "canary-token")
    assert lines
    assert not any(secret in repr(lines) for secret in ("canary-token", "s3cret"))


async def test_a_verifier_that_is_not_there_is_unavailable(verifier: Verifier) -> None:
    gone = await asyncio.start_server(verifier.serve, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    with pytest.raises(RecaptchaUnavailable):
        await asked(verifier, RECAPTCHA_VERIFY_URL=f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http:///nohost", "http://h:x/", "http://h:0/"])
def test_an_address_that_cannot_be_called_ends_the_start(url: str) -> None:
    with pytest.raises(SettingError, match="RECAPTCHA_VERIFY_URL"):
        captcha_from(load_settings({"RECAPTCHA_SECRET_KEY": "s3cret", "RECAPTCHA_VERIFY_URL": url}))


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def seconds_until_unavailable(verifier: Verifier) -> float:
    start = time.perf_counter()
    with pytest.raises(RecaptchaUnavailable):
        await asked(verifier)
    return time.perf_counter() - start


async def test_a_verifier_that_hangs_up_is_unavailable(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captcha, "_DEADLINE_SECONDS", 60.0)
    verifier.answer = hang_up
    assert await seconds_until_unavailable(verifier) < 30


async def test_the_deadline_is_three_seconds(verifier: Verifier) -> None:
    verifier.answer = hang

    async def wait() -> None:
        assert 2.8 < await seconds_until_unavailable(verifier) < 3.5

    await undisturbed(wait, seconds=3.5)


@pytest.mark.parametrize("answer", [drip, hang])
async def test_the_deadline_covers_dripping_bodies_too(
    verifier: Verifier, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captcha, "_DEADLINE_SECONDS", 0.5)
    verifier.answer = answer

    async def wait() -> None:
        assert await seconds_until_unavailable(verifier) < 1

    await undisturbed(wait, seconds=1)


async def test_a_hung_verifier_holds_fifty_connections_and_nobody_longer_than_the_deadline(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captcha, "_DEADLINE_SECONDS", 1.0)
    verifier.answer = hang
    environ = {
        "RECAPTCHA_SECRET_KEY": "s3cret",
        "RECAPTCHA_VERIFY_URL": f"http://127.0.0.1:{verifier.port}/siteverify",
    }
    recaptcha = captcha_from(load_settings(environ))

    async def hang_all() -> None:
        start, opened_before = time.perf_counter(), len(verifier.forms)
        calls = [asyncio.create_task(recaptcha.verify("tok", remote_address=None)) for _ in range(120)]
        await asyncio.sleep(0.7)
        opened = len(verifier.forms) - opened_before
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert opened == 50
        assert time.perf_counter() - start < 2
        assert all(isinstance(result, RecaptchaUnavailable) for result in results)

    await undisturbed(hang_all, seconds=1.2)
    verifier.answer = json_answer({"success": True})
    await recaptcha.verify("tok", remote_address=None)
    await recaptcha.close()


async def test_development_without_a_secret_asks_for_any_token() -> None:
    with structlog.testing.capture_logs() as lines:
        verifier = captcha_from(load_settings({}))
    assert isinstance(verifier, AnyToken)
    assert lines[0]["log_level"] == "warning"
    await verifier.verify("x", remote_address=None)
    for token in (None, "", " "):
        with pytest.raises(RecaptchaFailed, match="recaptcha_token is required"):
            await verifier.verify(token, remote_address=None)


async def test_off_asks_nobody() -> None:
    verifier = captcha_from(load_settings({"CAPTCHA": "off", "RECAPTCHA_SECRET_KEY": "s3cret"}))
    assert isinstance(verifier, NoCaptcha)
    await verifier.verify(None, remote_address=None)


def test_only_verified_tokens_are_spent() -> None:
    assert captcha_from(load_settings({"RECAPTCHA_SECRET_KEY": "s3cret"})).single_use
    assert not captcha_from(load_settings({})).single_use
    assert not captcha_from(load_settings({"CAPTCHA": "off"})).single_use
