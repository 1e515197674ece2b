"""One application and one small world for all tests of roles."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from litestar import Litestar

from bugrelay.app import create_app
from bugrelay.http import event_stream
from bugrelay.settings import load_settings
from tests.conftest import TEST_ENVIRONMENT, Servers, empty
from tests.roles.world import World, build


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends as soon as it has begun: whether it begins is all that is asked."""
    monkeypatch.setattr(event_stream, "LIFE_SECONDS", 0.0)


@pytest.fixture(scope="session")
def roles_app(servers: Servers, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    urls = {
        "DATABASE_URL": database_url,
        "REDIS_URL": servers.redis_url,
        "BUGRELAY_HOME": str(tmp_path_factory.mktemp("roles")),
        "ACCESS_TOKEN_MINUTES": "600",  # the world is built once for all tests of this folder
        "OAUTH_GITHUB_CLIENT_ID": "the board",
        "OAUTH_GITHUB_CLIENT_SECRET": "the secret",
    }
    return create_app(load_settings({**TEST_ENVIRONMENT, **urls}))


@pytest.fixture(scope="session")
async def built_world(roles_app: Litestar, database_url: str) -> AsyncIterator[World]:
    settings = roles_app.state.platform.settings
    transport = httpx.ASGITransport(app=roles_app, raise_app_exceptions=False)  # type: ignore[arg-type]
    await roles_app.state.platform.start()
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://board.example", timeout=30
        ) as client:
            with psycopg.connect(database_url, autocommit=True) as sql:
                empty(sql)
                yield await build(client, sql, uploads=settings.bugrelay_home / "uploads")
    finally:
        await roles_app.state.platform.close()


@pytest.fixture
def world(built_world: World) -> World:
    """The world as it was built, whatever other tests did to the tables."""
    built_world.put_back()
    return built_world
