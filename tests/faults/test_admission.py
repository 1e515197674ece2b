"""The deadlines of a request: one for its body, one for our own work, whatever the application below does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bugrelay.bootstrap import build
from bugrelay.http import load, request_timeout
from bugrelay.http.admission import Admission, RouteBuckets
from bugrelay.settings import Settings
from tests.pace import undisturbed

Application = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_timeout, "RESPONSE_SECONDS", 0.3)
    monkeypatch.setattr(request_timeout, "BODY_SECONDS", 0.8)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


class Asker:
    """Sends requests through a gate that lets one in at a time: a place that is not given back is noticed."""

    def __init__(self, settings: Settings) -> None:
        self._platform = build(replace(settings, max_requests_in_flight=1))
        self._application: Application = quick
        self._gate = Admission(self._run, self._platform, RouteBuckets([], {}))  # type: ignore[arg-type]

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        await self._application(scope, receive, send)

    async def ask(
        self,
        application: Application,
        body: Iterable[tuple[float, bytes] | None] = (),
        *,
        reads: asyncio.Event | None = None,
    ) -> Answer:
        """`body`: pieces, each with the seconds it takes to come; None is a sender who leaves.

        `reads`: when the client begins to read.
        """
        self._application = application
        pieces = list(body)
        sent: list[Any] = []

        async def receive() -> Any:
            if not pieces:
                await asyncio.Event().wait()
            piece = pieces.pop(0)
            if piece is None:
                return {"type": "http.disconnect"}
            await asyncio.sleep(piece[0])
            return {"type": "http.request", "body": piece[1], "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)
            if reads is not None and message["type"] == "http.response.body":
                await reads.wait()

        began = time.monotonic()
        await self._gate(scope_of(has_body=bool(pieces)), receive, send)
        seconds = time.monotonic() - began
        await asyncio.sleep(0.01)  # for whatever might still be sent
        start, *rest = sent
        assert [message["type"] for message in rest] == ["http.response.body"] * len(rest)
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], headers, b"".join(message["body"] for message in rest), seconds)

    async def ask_without_reading(
        self, application: Application, *, reads: asyncio.Event
    ) -> asyncio.Task[Answer]:
        """A request whose response is on its way to a client that does not read yet."""
        unread = self._gate.load.response_bytes
        asking = asyncio.create_task(self.ask(application, reads=reads))
        async with asyncio.timeout(60):
            while self._gate.load.response_bytes == unread:
                await asyncio.sleep(0)
        return asking


def scope_of(*, has_body: bool) -> dict[str, Any]:
    headers = [(b"host", b"board.example"), *([(b"transfer-encoding", b"chunked")] if has_body else [])]
    return {
        "type": "http",
        "method": "POST",
        "path": "/somewhere",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }


SHORT = pytest.mark.usefixtures("short_deadlines")


@pytest.fixture
async def asker(settings: Settings) -> AsyncIterator[Asker]:
    asker = Asker(settings)
    yield asker

    async def is_free() -> None:
        assert (await asker.ask(quick)).status == 200

    await undisturbed(is_free, seconds=0.3)


async def answer_ok(send: Any, body: bytes = b"ok") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def read(receive: Any) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    return body


async def quick(_scope: Any, _receive: Any, send: Any) -> None:
    await answer_ok(send)


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    await answer_ok(send, await read(receive))


@SHORT
async def test_work_that_takes_too_long_is_answered_503_and_cancelled(asker: Asker) -> None:
    ended: list[str] = []

    async def slow(_scope: Any, _receive: Any, _send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    answer = await asker.ask(slow)
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"]
    assert answer.seconds < 30
    assert ended == ["cancelled"]


@SHORT
async def test_nobody_waits_for_a_cancelled_task_that_will_not_end(asker: Asker) -> None:
    released, ended = asyncio.Event(), asyncio.Event()

    async def stubborn(_scope: Any, _receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await released.wait()
            await answer_ok(send)
            ended.set()
            raise RuntimeError("its own clean-up failed") from None

    async with asyncio.timeout(30):
        answer = await asker.ask(stubborn)
    assert answer.status == 503
    released.set()
    await ended.wait()


@SHORT
async def test_a_slow_body_does_not_use_up_our_time(asker: Asker) -> None:
    async def work_and_echo(_scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        await asyncio.sleep(0.15)
        await answer_ok(send, body)

    async def ask() -> None:
        answer = await asker.ask(work_and_echo, [(0.2, b"a"), (0.2, b"b"), (0.2, b"c")])
        assert (answer.status, answer.body) == (200, b"abc")
        assert answer.seconds > 0.6

    await undisturbed(ask, seconds=0.8)


@SHORT
async def test_our_time_runs_again_when_the_body_is_here(asker: Asker) -> None:
    async def slow_after(_scope: Any, receive: Any, _send: Any) -> None:
        await asyncio.sleep(0.1)
        await read(receive)
        await asyncio.sleep(3600)

    async def ask() -> None:
        answer = await asker.ask(slow_after, [(0.4, b"a")])
        assert answer.status == 503
        assert answer.seconds < 0.9

    await undisturbed(ask, seconds=0.8)


@SHORT
async def test_work_before_the_body_is_read_counts_as_ours(asker: Asker) -> None:
    async def slow_before(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(3600)

    answer = await asker.ask(slow_before, [(0, b"a")])
    assert answer.status == 503
    assert answer.seconds < 30


@SHORT
async def test_a_body_that_takes_too_long_is_the_senders_fault(asker: Asker) -> None:
    answer = await asker.ask(echo, [(0.1, b"a")] * 1000)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert 0.7 < answer.seconds < 30


async def test_a_body_that_breaks_off_is_the_senders_fault(asker: Asker) -> None:
    answer = await asker.ask(echo, [(0, b"a"), None])
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


async def test_a_body_over_the_memory_of_all_is_refused(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_timeout, "BODY_BYTES_HELD", 1000)
    assert (await asker.ask(echo, [(0, b"a" * 600), (0, b"a" * 600)])).status == 503
    for _ in range(3):
        assert (await asker.ask(echo, [(0, b"a" * 600)])).status == 200


async def test_a_client_that_does_not_read_holds_no_slot(asker: Asker) -> None:
    reads = asyncio.Event()
    asking = await asker.ask_without_reading(quick, reads=reads)
    assert (await asker.ask(quick)).status == 200
    reads.set()
    assert (await asking).body == b"ok"


async def test_responses_that_nobody_reads_are_bounded_by_the_memory_of_all(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def large(_scope: Any, _receive: Any, send: Any) -> None:
        await answer_ok(send, b"a" * 600)

    monkeypatch.setattr(load, "RESPONSE_BYTES_HELD", 1000)
    reads = asyncio.Event()
    first = await asker.ask_without_reading(large, reads=reads)
    assert (await asker.ask(quick)).status == 200
    second = await asker.ask_without_reading(large, reads=reads)
    assert (await asker.ask(quick)).status == 503
    reads.set()
    assert [(await first).status, (await second).status] == [200, 200]


@SHORT
async def test_a_response_that_has_begun_is_not_timed_out(asker: Asker) -> None:
    async def long_file(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(6):
            await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    answer = await asker.ask(long_file)
    assert (answer.status, answer.body) == (200, b"aaaaaa")


async def test_a_request_that_is_cancelled_from_outside_leaves_no_task_behind(asker: Asker) -> None:
    before = asyncio.all_tasks()

    async def slow(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(10)

    asking = asyncio.create_task(asker.ask(slow))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
