"""People who sign in from many places, and the mails they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
import redis

from bugrelay.app import create_app
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.factories import PASSWORD, Person
from tests.infra.mail.postbox import working

AUTH = "/api/v1/auth"


@pytest.fixture
async def worker(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    async with working(settings) as platform:
        yield platform


@pytest.fixture
async def proxied(start_app: StartApp) -> AsyncIterator[httpx.AsyncClient]:
    """A board behind a proxy: `from_address` says where a request comes from."""
    async with start_app(trusted_proxies=(ip_network("127.0.0.0/8"),)) as client:
        yield client


@pytest.fixture
def no_counts(settings: Settings) -> None:
    """Nobody has used up any of their rate limits."""
    with redis.Redis.from_url(settings.redis_url) as connection:
        connection.flushdb()


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def sign_in(
    client: httpx.AsyncClient, email: str, password: str = PASSWORD, *, address: str | None = None
) -> httpx.Response:
    headers = from_address(address) if address else {}
    return await client.post(f"{AUTH}/login", json={"email": email, "password": password}, headers=headers)


def as_person(person: Person, answer: dict[str, Any]) -> Person:
    """The same person with the tokens of another session."""
    return replace(person, access_token=answer["access_token"], refresh_token=answer["refresh_token"])


async def works(client: httpx.AsyncClient, person: Person) -> bool:
    """Whether the access token holds."""
    response = await client.get(f"{AUTH}/profile", headers=person.headers)
    assert response.status_code in (200, 401)
    return response.status_code == 200


@asynccontextmanager
async def another_process(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A second application on the same database; nothing is emptied."""
    app = create_app(settings)
    await app.state.platform.start()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://board.example") as client:
            yield client
    finally:
        await app.state.platform.close()
