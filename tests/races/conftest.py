"""A board that really works on many requests at once, and the truth to compare it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpx
import pytest

from bugrelay.bootstrap import build
from bugrelay.http import request_timeout
from bugrelay.infra.db import connections, database
from bugrelay.infra.db.connections import Connection
from bugrelay.integrity_check import problems
from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.factories import Person, register

AssertTrue = Callable[[], Awaitable[None]]


@pytest.fixture(autouse=True)
def long_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dozens of calls wait for one lock, and who holds it may pause: that is no reason for a 503 here."""
    options = connections._CONNECT_OPTIONS["options"]
    for name, seconds in (("statement_timeout", 3), ("lock_timeout", 2)):
        assert f"-c {name}={seconds}s " in options
        options = options.replace(f"-c {name}={seconds}s ", f"-c {name}=60s ")
    monkeypatch.setitem(connections._CONNECT_OPTIONS, "options", options)
    monkeypatch.setattr(connections, "POOL_TIMEOUT_SECONDS", 60)
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 60)
    monkeypatch.setattr(Connection, "exchange_seconds", 60)
    monkeypatch.setattr(request_timeout, "RESPONSE_SECONDS", 60)


@pytest.fixture
async def client(long_deadlines: None, start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
    """Each route may hold ten connections for reads and ten for changes."""
    async with start_app(database_pool=90) as client:
        yield client


@pytest.fixture
async def assert_counters_are_true(
    settings: Settings, client: httpx.AsyncClient
) -> AsyncIterator[AssertTrue]:
    """Compare every counter, copy and reference with its rows, as `bugrelay check` does."""
    platform = build(settings)

    async def check() -> None:
        assert [problem async for problem in problems(platform)] == []

    yield check
    await platform.close()


async def at_once(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return await asyncio.gather(*calls)


async def crowd(client: httpx.AsyncClient, count: int) -> list[Person]:
    """This many registered users."""
    return [await register(client, f"person{number}") for number in range(count)]
