"""`python -m benchmarks.live [--sockets N]`: what idle WebSockets cost, and how fast an event arrives on one.

Two server processes serve a board with a company. Another process holds idle sockets at one of them, signed in and
subscribed, ten for each user. Readers request bugs as signed-in users, in turns from the server with the sockets and
from the one without; rates and the server's CPU per read (from /proc) are compared. Then tickets are created one
after another, with Redis and without; each delay is the time from the request to its event, so it includes the write.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import httpx
import psycopg
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.client import Request, drive, percentile
from benchmarks.generate import say
from benchmarks.home import ENVIRONMENT
from benchmarks.servers import Server, children_of, started
from bugrelay.embedded import temporary
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.security.tokens import AccessTokens
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings

OF_A_USER = 10
BUGS = 500
READERS = 8
IDLE_SECONDS = 30.0  # longer than a heartbeat, so that each socket is pinged in it
# Short, as the speed of a shared machine varies from minute to minute; many, so that they include heartbeats.
STRETCH_SECONDS = 2.0
STRETCHES = 25  # of each of two servers, twice
EVENTS = 200
PAUSE_SECONDS = 0.15  # between two events, at most

_PUT: LiteralString = """
WITH app AS (
    INSERT INTO applications (id, name, name_key, domain) VALUES (gen_random_uuid(), 'Bench', 'bench', '') RETURNING id
), put AS (
    INSERT INTO bugs (id, title, application_id, created_at)
    SELECT gen_random_uuid(), 'A bug like number ' || n, app.id, now() - n * interval '1 minute'
    FROM app, generate_series(1, %(bugs)s) n RETURNING id
), texts AS (
    INSERT INTO bug_texts (bug_id, description, description_html)
    SELECT id, repeat('It happens when a draft is saved. ', 10), '' FROM put
), company AS (
    INSERT INTO companies (id, name, domain, verified, verified_at)
    VALUES (gen_random_uuid(), 'Bench', 'bench.example', true, now()) RETURNING id
), people AS (
    INSERT INTO users (id, email, email_key, username, is_email_verified)
    SELECT id, id || '@people.example', id || '@people.example', left(replace(id::text, '-', ''), 30), true
    FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %(people)s)) x RETURNING id
), members AS (
    INSERT INTO company_members (id, company_id, user_id, role)
    SELECT gen_random_uuid(), company.id, people.id, 'member' FROM company, people
)
INSERT INTO sessions (id, user_id) SELECT gen_random_uuid(), id FROM people RETURNING user_id, id
"""


@dataclass(frozen=True)
class Scene:
    """A board, a company, and the tokens of its members."""

    environment: dict[str, str]
    home: Path
    tokens: list[str]
    bugs: list[UUID]

    @contextmanager
    def served(self, name: str, **environment: str) -> Iterator[Server]:
        everything = {**self.environment, **environment}
        with started(name, ["bugrelay", "serve"], everything, log=self.home / f"{name}.log") as server:
            yield server


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000, help="idle sockets (default: %(default)s)")
    sockets: int = parser.parse_args().sockets
    with tempfile.TemporaryDirectory() as home, temporary() as urls:
        servers = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url, "BUGRELAY_HOME": home}
        scene = _scene({**ENVIRONMENT, **servers}, Path(home), people=sockets // OF_A_USER + 2)
        with scene.served("one") as server, scene.served("another") as other:
            _measure_idle(scene, (server, other), sockets)
            _measure_delay(scene, server, "with Redis")
        with scene.served("without-redis", REDIS_URL=f"unix://{home}/nothing") as server:
            _measure_delay(scene, server, "without Redis")


def _scene(environment: dict[str, str], home: Path, *, people: int) -> Scene:
    settings = load_settings(environment)
    migrate(settings)
    with psycopg.connect(libpq_url(settings.database_url), autocommit=True) as connection:
        sessions = connection.execute(_PUT, {"bugs": BUGS, "people": people}).fetchall()
        bugs = [row[0] for row in connection.execute("SELECT id FROM bugs").fetchall()]
        connection.execute("VACUUM ANALYZE")
    return Scene(environment, home, _tokens(settings, sessions), bugs)


def _tokens(settings: Settings, sessions: list[Any]) -> list[str]:
    tokens = AccessTokens(
        settings.signing_key, issuer=settings.public_url, minutes=settings.access_token_minutes
    )
    return [tokens.issue(user_id=user, session_id=session)[0] for user, session in sessions]


# --- idle sockets -----------------------------------------------------------------------------------------------------


def _measure_idle(scene: Scene, servers: tuple[Server, Server], sockets: int) -> None:
    """Two identical servers, one of which has the sockets: first the one, then the other."""
    requests = [Request("bug", f"/api/v1/bugs/{bug}", token=scene.tokens[-1]) for bug in scene.bugs]
    for server in servers:
        drive(server.port, requests, connections=READERS, seconds=5)  # caches and prepared statements
    alone, before_mb = _cpu_share(servers[0]), _resident_mb(servers[0])
    beside, without = _Reads(), _Reads()
    for server, other in (servers, servers[::-1]):
        with _held(server.port, scene.tokens[:-1], sockets):
            if server is servers[0]:
                grown_mb, busy = _resident_mb(server) - before_mb, _cpu_share(server)
            say(f"reads with {sockets} idle sockets at {server.name}, and at {other.name} without")
            for _ in range(STRETCHES):
                beside.add(server, requests)
                without.add(other, requests)
    each_kib = grown_mb * 1024 / sockets
    print(f"memory of each of {sockets} idle sockets: {each_kib:.1f} KiB in the server process")
    print(f"CPU of the server with idle sockets and no requests: {busy:.1%} of a core; without: {alone:.1%}")
    print(f"reads with the sockets: {beside}; without: {without}")
    rate, cpu = 1 - beside.per_second / without.per_second, 1 - without.cpu_ms / beside.cpu_ms
    print(f"cost of the sockets for reads: {rate:.1%} by rate, {cpu:.1%} by the server's CPU (bar: 5 %)")


@dataclass
class _Reads:
    """The sum of all turns of reads."""

    count: float = 0
    seconds: float = 0
    cpu_seconds: float = 0  # of the server process

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds * 1000 / self.count

    def __str__(self) -> str:
        return f"{self.per_second:.0f} reads a second, {self.cpu_ms:.3f} ms of the server's CPU for each"

    def add(self, server: Server, requests: list[Request]) -> None:
        """Add one turn."""
        before = server.cpu_seconds()
        load = drive(server.port, requests, connections=READERS, seconds=STRETCH_SECONDS)
        assert not load.failures, load.failures  # noqa: S101 - a benchmark of refusals says nothing
        self.cpu_seconds += server.cpu_seconds() - before
        self.count += load.count
        self.seconds += load.seconds


def _cpu_share(server: Server) -> float:
    """The share of one core that is used while there are no requests."""
    before = server.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (server.cpu_seconds() - before) / IDLE_SECONDS


def _resident_mb(server: Server) -> float:
    """The resident memory of the process that serves."""
    (process,) = children_of(server.pid)
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def _held(port: int, tokens: list[str], count: int) -> Iterator[None]:
    """Sockets that another process holds for the duration of the block."""
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(port, tokens, count, ready, over), daemon=True)
    holder.start()
    try:
        assert ready.wait(120), "the sockets did not open"  # noqa: S101
        yield
    finally:
        over.set()
        holder.join()


def _hold(port: int, tokens: list[str], count: int, ready: Event, over: Event) -> None:
    uvloop.run(_hold_open(port, tokens, count, ready, over))


async def _hold_open(port: int, tokens: list[str], count: int, ready: Event, over: Event) -> None:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        answering = []
        for number in range(count):
            socket = await stack.enter_async_context(
                _socket(port, tokens[number // OF_A_USER], f"idle{number}")
            )
            await _subscribe(socket)
            answering.append(group.create_task(_answer_pings(socket)))
        ready.set()
        await asyncio.to_thread(over.wait)
        for task in answering:
            task.cancel()


async def _answer_pings(socket: ClientConnection) -> None:
    async for message in socket:
        if json.loads(message)["type"] == "ping":
            await socket.send('{"type": "pong"}')


def _socket(port: int, token: str, client_id: str) -> connect:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{port}/ws/{client_id}"
    return connect(url, additional_headers=headers, proxy=None, ping_interval=None, compression=None)


async def _subscribe(socket: ClientConnection) -> None:
    await socket.recv()  # hello
    await socket.send('{"type": "subscribe"}')


# --- delay ------------------------------------------------------------------------------------------------------------


def _measure_delay(scene: Scene, server: Server, name: str) -> None:
    say(f"{EVENTS} events, {name}")
    delays = sorted(uvloop.run(_delays(server.port, scene.tokens[-1])))
    half, most = percentile(delays, 50), percentile(delays, 95)
    print(f"from the request to the event on a socket, {name}: p50 {half:.3f} s, p95 {most:.3f} s")


async def _delays(port: int, token: str) -> list[float]:
    """Seconds from each request to its event."""
    sent_at: list[float] = []
    delays: list[float] = []
    async with (
        _socket(port, token, "timed") as socket,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        await _subscribe(socket)
        group.create_task(_write(client, token, sent_at))
        while len(delays) < EVENTS:
            message = json.loads(await socket.recv())
            if message["type"] == "event" and message["event"] == "ticket.created":
                delays.append(time.perf_counter() - sent_at[len(delays)])
    return delays


async def _write(client: httpx.AsyncClient, token: str, sent_at: list[float]) -> None:
    """Create tickets one after another, so that events arrive in the order of the requests."""
    for _ in range(EVENTS):
        await asyncio.sleep(random.random() * PAUSE_SECONDS)  # noqa: S311 - no secret
        sent_at.append(time.perf_counter())
        response = await client.post(
            "/api/v1/tickets",
            json={"title": "The printer is out of paper"},
            headers={"Authorization": f"Bearer {token}"},
        )
        response.raise_for_status()


if __name__ == "__main__":
    main()
