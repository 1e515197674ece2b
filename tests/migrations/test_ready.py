"""A server is ready when the database is migrated far enough for it."""

from __future__ import annotations

import httpx
import psycopg

from bugrelay.migrate import migrate
from bugrelay.settings import load_settings
from tests.conftest import StartApp
from tests.migrations.conftest import NewDatabase, migrate_to

READY = (
    200,
    {"status": "ok", "checks": {"postgres": "ok", "redis": "ok"}, "events": {"lag_seconds": 0.0}},
)
BEHIND = (503, {"status": "unavailable", "checks": {"postgres": "ok", "redis": "ok", "schema": "behind"}})


async def test_a_server_is_ready_once_its_database_is_migrated(
    start_app: StartApp, new_database: NewDatabase
) -> None:
    url = new_database()
    async with start_app(database_url=url) as client:
        assert await _ready(client) == BEHIND
        migrate_to("0006", url)
        assert await _ready(client) == BEHIND
        migrate(load_settings({"DATABASE_URL": url}))
        assert await _ready(client) == READY
        assert (await client.get("/api/v1/bugs")).status_code == 200


async def test_a_server_stays_ready_when_a_newer_release_has_migrated(
    start_app: StartApp, new_database: NewDatabase
) -> None:
    url = new_database()
    migrate(load_settings({"DATABASE_URL": url}))
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of a newer release'")
    async with start_app(database_url=url) as client:
        assert await _ready(client) == READY


async def _ready(client: httpx.AsyncClient) -> tuple[int, dict[str, object]]:
    response = await client.get("/ready")
    return response.status_code, response.json()
