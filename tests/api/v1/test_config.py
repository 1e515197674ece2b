"""`/config`, `/health` and `/ready`."""

from __future__ import annotations

import httpx

from bugrelay.settings import Rate
from tests.conftest import StartApp


async def test_a_client_learns_what_it_must_know(start_app: StartApp) -> None:
    async with start_app(
        recaptcha_site_key="the site key", rate_limit_bug_submission=Rate(5, 60), max_upload_mb=3
    ) as client:
        config = (await client.get("/api/v1/config")).json()
    assert config["captcha"] == {"kind": "recaptcha", "site_key": "the site key"}
    limits = config["limits"]
    assert (limits["title"], limits["description"]) == ({"min": 5, "max": 255}, {"min": 10, "max": 5000})
    assert (limits["comment"], limits["tags"], limits["tag"]) == (
        {"min": 1, "max": 2000},
        10,
        {"min": 1, "max": 50},
    )
    assert (limits["upload_bytes"], limits["attachments"]) == (3 * 1024 * 1024, 20)
    assert limits["upload_types"] == ["image/jpeg", "image/png", "image/gif", "image/webp"]
    assert config["rates"]["bug_submission"] == "5/minute"
    assert config["rates"]["general"] is None
    assert config["statuses"] == ["open", "reviewing", "fixed", "wont_fix"]
    assert config["priorities"] == ["low", "medium", "high", "critical"]
    assert "password" in config["sign_in_providers"]


async def test_no_secret_is_in_it(start_app: StartApp) -> None:
    async with start_app(recaptcha_secret_key="the captcha secret") as client:
        text = (await client.get("/api/v1/config")).text
    assert "secret" not in text


async def test_without_a_captcha_no_key_is_returned(start_app: StartApp) -> None:
    async with start_app(captcha="off") as client:
        assert (await client.get("/api/v1/config")).json()["captcha"] == {"kind": "off", "site_key": None}


async def test_the_process_lives_and_is_ready(client: httpx.AsyncClient) -> None:
    health = await client.get("/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    ready = await client.get("/ready")
    assert ready.status_code == 200
    checks = {"postgres": "ok", "redis": "ok"}
    assert ready.json() == {"status": "ok", "checks": checks, "events": {"lag_seconds": 0.0}}
    assert "no-store" in health.headers["cache-control"]
    assert "no-store" in ready.headers["cache-control"]


async def test_without_redis_it_is_degraded_and_without_postgresql_unready(start_app: StartApp) -> None:
    async with start_app(redis_url="redis://127.0.0.1:1/0") as client:
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"] == {"postgres": "ok", "redis": "down"}
    async with start_app(database_url="postgresql://nobody@127.0.0.1:1/nothing") as client:
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["postgres"]) == (503, "down")
        assert (await client.get("/health")).status_code == 200
        away = await client.get("/api/v1/bugs")
        assert (away.status_code, away.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(away.headers["retry-after"]) >= 1
