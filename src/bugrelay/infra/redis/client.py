"""The client of Redis (or Valkey): a shared, pipelined connection with a deadline and a circuit breaker.

Redis is optional at any time. A call returns a reply within a quarter of a second or raises `RedisUnavailable`, for
which each caller has a fallback.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import hiredis
import structlog

from bugrelay.infra.redis.address import redis_address

DEADLINE_SECONDS = 0.25
DEADLINE_TICKS = 5
# Only the start of the process waits for a new connection, so this may take longer than a call.
CONNECT_SECONDS = 1.0
RETRY_SECONDS = 0.5

Argument = str | bytes | int | float
PROBE: tuple[Argument, ...] = ("SET", "bugrelay:probe", "1", "EX", 10)

_NO_SCRIPT: Final = object()  # the reply of a server that does not know a script

log = structlog.get_logger()


class RedisUnavailable(Exception):
    """No usable reply from Redis in time; it is unknown whether the command took effect."""


@dataclass(frozen=True)
class Script:
    """A Lua script, called by its SHA-1 once the server has it."""

    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())


class RedisClient:
    """Runs commands while Redis is usable, and fails at once while it is not.

    One task maintains the connection for the life of the process: it opens it, serves it until the first
    failure, and then reconnects every half second. A server that refuses writes (a replica, a full or
    a loading one) counts as unavailable, so a new connection is used only after a write has succeeded.
    """

    def __init__(self, url: str) -> None:
        """`url` is `redis://…`, `rediss://…` or `unix://…`; `start` connects to it.

        Raises:
            SettingError: It is not such a URL.
        """
        self._address = redis_address(url)
        self._opening_commands: list[tuple[Argument, ...]] = []
        self._connection: _PipelinedConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._first_try_over = asyncio.Event()
        self._warned = False

    def on_connect(self, *command: Argument) -> None:
        """Send this command on every new connection, before any other call."""
        self._opening_commands.append(command)

    async def start(self) -> None:
        """Start to maintain the connection; returns after the first attempt, whatever its outcome."""
        self._keeper = asyncio.create_task(self._keep())
        await self._first_try_over.wait()

    async def close(self) -> None:
        """Close the connection and end the task that maintains it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    @property
    def state(self) -> Literal["ok", "down"]:
        """`ok` while calls are sent to Redis, `down` while they fail at once."""
        return "ok" if self._connection is not None and self._connection.open else "down"

    async def ping(self) -> bool:
        """Whether Redis replies within the deadline."""
        try:
            await self.run("PING")
        except RedisUnavailable:
            return False
        return True

    async def run(self, *command: Argument) -> Any:
        """The reply to one command, as bytes, int, None or a list of these.

        The command is queued for sending before the first await, so it is sent even if the caller is cancelled.

        Raises:
            RedisUnavailable: Redis is unavailable, too slow, or replied with an error.
        """
        reply = await self._reply(command)
        if reply is _NO_SCRIPT:
            raise RedisUnavailable("NOSCRIPT")
        return reply

    def notify(self, *command: Argument) -> None:
        """Send a command without waiting for its reply; it is lost while Redis is unavailable."""
        if self._connection is not None and self._connection.open:
            self._connection.send(command).add_done_callback(asyncio.Future.exception)

    async def run_script(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The reply to a script, which is sent in full if the server does not have it, as after a restart.

        Raises:
            RedisUnavailable: As for `run`.
        """
        reply = await self._reply(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        if reply is _NO_SCRIPT:
            return await self.run("EVAL", script.source, len(keys), *keys, *arguments)
        return reply

    async def _reply(self, command: tuple[Argument, ...]) -> Any:
        if self._connection is None:
            raise RedisUnavailable("not connected")
        return await self._connection.send(command)

    async def _keep(self) -> None:
        while True:
            try:
                reason = await self._open_and_serve()
            except Exception as error:  # noqa: BLE001 - whatever it was is logged, and trying goes on
                reason = error
            if not self._warned:
                log.warning("redis_unavailable", reason=f"{type(reason).__name__}: {reason}"[:200])
                self._warned = True
            self._first_try_over.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _open_and_serve(self) -> BaseException:
        """Use one connection until it fails; returns why it did."""
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await self._address.open(_PipelinedConnection)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.gather(*(connection.send(each) for each in (*self._address.greeting, PROBE)))
            self._begin(connection)
            return await connection.serve()
        finally:
            self._connection = None
            connection.close()

    def _begin(self, connection: _PipelinedConnection) -> None:
        for command in self._opening_commands:
            # An error reply closes the connection, which is all that has to happen.
            connection.send(command).add_done_callback(asyncio.Future.exception)
        self._connection = connection
        if self._warned:
            log.info("redis_available")
            self._warned = False
        self._first_try_over.set()


class _PipelinedConnection(asyncio.Protocol):
    """One connection that all callers share: commands leave in batches, replies come back in the same order.

    It fails as a whole, at the first reply that is an error or late. Sharing makes a cancelled caller
    harmless (its reply is read and dropped) and costs one write for many calls. Nobody queues for a
    connection, so when Redis hangs, all callers wait the same quarter of a second, not one after another.

    It stands on the transport itself, for the streams of a library cost three times as much a call.
    """

    def __init__(self) -> None:
        self.open = True
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader()
        self._outgoing: list[bytes] = []
        self._waiting: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._tick = 0
        self._failed: asyncio.Future[BaseException] = self._loop.create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def close(self) -> None:
        """Close the connection after sending what is queued."""
        self._flush()
        self._transport.close()

    def send(self, command: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """A future for the reply. Error replies close the connection, except NOSCRIPT, which is returned as
        `_NO_SCRIPT`.

        Raises:
            RedisUnavailable: The connection is closed.
        """
        if not self.open:
            raise RedisUnavailable("connection lost")
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub knows tuples of one
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((future, self._tick))
        return future

    async def serve(self) -> BaseException:
        """Serve until the first failure and return it; all waiting callers then get `RedisUnavailable`."""
        watch = asyncio.create_task(self._watch())
        try:
            return await self._failed
        finally:
            self._refuse_all("closed")
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        try:
            while (reply := self._parser.gets()) is not False:
                if isinstance(reply, hiredis.ReplyError):
                    if not str(reply).startswith("NOSCRIPT"):
                        raise reply
                    reply = _NO_SCRIPT
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_result(reply)
        except (hiredis.HiredisError, IndexError) as error:
            # An error reply, bytes that are not RESP, or a reply without a command.
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("connection lost"))

    def _flush(self) -> None:
        """Write the batch; one whose connection was lost meanwhile is dropped, since uvloop raises for it."""
        if self._outgoing and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _fail(self, reason: BaseException) -> None:
        self._refuse_all(repr(reason))
        if not self._failed.done():
            self._failed.set_result(reason)

    async def _watch(self) -> None:
        """Fail when the oldest call has waited for the deadline, counted in ticks of this loop.

        Ticks instead of the clock, because a process that was short of CPU sees replies and missed deadlines at the
        same time, and would take its own slowness for that of Redis.
        """
        while True:
            await asyncio.sleep(DEADLINE_SECONDS / DEADLINE_TICKS)
            self._tick += 1
            if self._waiting and self._tick - self._waiting[0][1] >= DEADLINE_TICKS:
                self._fail(TimeoutError(f"no reply within {DEADLINE_SECONDS} s"))

    def _refuse_all(self, reason: str) -> None:
        self.open = False
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(RedisUnavailable(reason))
        self._waiting.clear()
