"""The deadlines of a request: to receive its body, and to answer it."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from litestar.types import ASGIApp, Message, Receive, Send

from bugrelay.errors import BugRelayError, ServiceUnavailable, ValidationFailed
from bugrelay.http.asgi import as_asgi
from bugrelay.http.load import BODY_BYTES_HELD, OVERLOADED, Load
from bugrelay.http.raw_responses import send_error
from bugrelay.http.request import has_body

# To answer, without the time in which the body is received; the contract allows 6 seconds from its last byte.
RESPONSE_SECONDS = 5.5
BODY_SECONDS = 50  # to receive a body; the contract allows 60

log = structlog.get_logger()


class RequestTimeout:
    """One request under two deadlines: one to receive its body, one to answer it.

    The time in which the body is received does not count for the second one: the response comes within
    `RESPONSE_SECONDS` after the last byte of the body, and a slow sender does not use up the handler's time. At a
    deadline the error is sent at once, without waiting for the cancelled task to clean up.
    """

    def __init__(
        self, app: ASGIApp, scope: Any, receive: Receive, send: Send, *, load: Load, headers: dict[str, str]
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._load = load
        self._body_bytes = 0
        self._more_headers = headers
        self._answered = False
        self._abandoned = False
        self._in_flight = 1  # this request's share of the requests in flight: 1, or 0 for a stream
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._respond_by = now + RESPONSE_SECONDS
        self._body_by = now + BODY_SECONDS
        self._body_is_here = not has_body(scope)
        self._ended: asyncio.Future[BugRelayError | None] = self._loop.create_future()
        self._timer = self._loop.call_at(self._respond_by, self._give_up, ServiceUnavailable())
        scope["state"]["release_body"] = self._release_body
        scope["state"]["begin_stream"] = self._begin_stream

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self._load.requests += 1 - self._in_flight

    async def _run(self) -> None:
        task: asyncio.Task[None] = self._loop.create_task(self._app(self._scope, self.receive, self.send))  # type: ignore[arg-type]
        task.add_done_callback(self._end)
        try:
            too_late = await self._ended
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._timer.cancel()
            self._load.body_bytes -= self._body_bytes
        if too_late is None or task.done() or self._answered:
            await task  # done, or the response has begun: a long file may take as long as it needs
            return
        self._abandoned = True
        task.cancel()
        task.add_done_callback(_note_outcome)
        log.warning("deadline_passed", path=self._scope["path"], code=too_late.code)
        too_late.headers |= self._more_headers
        await send_error(too_late, self._send, path=self._scope["path"])

    async def receive(self) -> Any:
        if self._body_is_here:
            return await self._receive()
        message = await self._wait_for_body()
        if message["type"] != "http.request":
            raise ValidationFailed.of("body", "must arrive in full")
        self._body_is_here = not message.get("more_body", False)
        self._body_bytes += len(message.get("body", b""))
        self._load.body_bytes += len(message.get("body", b""))
        if self._load.body_bytes > BODY_BYTES_HELD:
            raise ServiceUnavailable(OVERLOADED)
        return message

    def _release_body(self, size_bytes: int) -> None:
        """Count bytes of the body as no longer in memory."""
        self._body_bytes -= size_bytes
        self._load.body_bytes -= size_bytes

    def _begin_stream(self) -> None:
        """Stop counting the request as in flight: a stream that lasts for minutes (http/event_stream.py) is mostly
        idle."""
        if self._abandoned:
            return
        self._load.requests -= self._in_flight
        self._in_flight = 0
        self._scope["state"]["is_stream"] = True

    async def _wait_for_body(self) -> Any:
        began = self._loop.time()
        self._set_timer(self._body_by, ValidationFailed.of("body", f"must arrive within {BODY_SECONDS} s"))
        self._load.requests -= 1
        try:
            return await self._receive()
        finally:
            self._load.requests += 1
            self._respond_by += self._loop.time() - began
            self._set_timer(self._respond_by, ServiceUnavailable())

    async def send(self, message: Message) -> None:
        if self._abandoned:
            return
        if message["type"] == "http.response.start":
            self._answered = True
            message["headers"] = [*message.get("headers", []), *as_asgi(self._more_headers)]
        in_flight = self._in_flight
        self._load.requests -= in_flight  # a client that does not read must not cause others to be shed
        try:
            with self._load.sending(_body_bytes(message)):
                await self._send(message)
        finally:
            self._load.requests += in_flight

    def _set_timer(self, at: float, error: BugRelayError) -> None:
        self._timer.cancel()
        if not (self._answered or self._abandoned):
            self._timer = self._loop.call_at(at, self._give_up, error)

    def _end(self, _task: asyncio.Task[None]) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _give_up(self, error: BugRelayError) -> None:
        if not self._ended.done():
            self._ended.set_result(error)


def _body_bytes(message: Any) -> int:
    return len(message.get("body", b""))


def _note_outcome(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("abandoned_request_failed", cause=repr(task.exception())[:300])
