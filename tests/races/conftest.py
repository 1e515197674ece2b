"""A board that really works on many requests at once, and the truth to compare it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpx
import pytest

from bugrelay.bootstrap import build
from bugrelay.integrity_check import problems
from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.factories import Person, register

AssertTrue = Callable[[], Awaitable[None]]


@pytest.fixture
async def client(start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
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


async def answered(call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The answer to a call that is repeated while the board is overloaded, as it is while PostgreSQL pauses."""
    async with asyncio.timeout(60):
        while (answer := await call()).status_code == 503:
            await asyncio.sleep(float(answer.headers["retry-after"]))
    return answer


async def crowd(client: httpx.AsyncClient, count: int) -> list[Person]:
    """This many registered users."""
    return [await register(client, f"person{number}") for number in range(count)]
