"""Pages of other origins: those that are named may call, and read why they were refused."""

from __future__ import annotations

import httpx
import pytest

from bugrelay.settings import Rate
from tests.conftest import StartApp
from tests.responses import refused

pytestmark = pytest.mark.usefixtures("fresh_counts")

BUGS = "/api/v1/bugs"
PAGES = "https://app.example"
PREFLIGHT = {"Origin": PAGES, "Access-Control-Request-Method": "GET"}


async def test_pages_of_allowed_origins_may_call(start_app: StartApp) -> None:
    origin = "https://app.example"
    async with start_app(cors_allow_origins=(origin,)) as client:
        preflight = await client.options(
            BUGS,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
            },
        )
        assert preflight.is_success
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "POST" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
        for path in (BUGS, f"{BUGS}/5", "/api/v1/nothing"):
            response = await client.get(path, headers={"Origin": origin})
            assert response.headers["access-control-allow-origin"] == origin, path
            exposed = response.headers["access-control-expose-headers"].lower()
            rates = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
            assert all(name in exposed for name in (*rates, "x-request-id", "etag", "x-cache"))
        stranger = await client.get(BUGS, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_a_page_may_read_why_it_was_refused_before_routing(start_app: StartApp) -> None:
    async with start_app(cors_allow_origins=(PAGES,), rate_limit_general=Rate(1, 60)) as client:
        assert (await client.get(BUGS, headers={"Origin": PAGES})).status_code == 200
        response = await client.get(BUGS, headers={"Origin": PAGES})
    refused(response, 429, "RATE_LIMIT_EXCEEDED")
    assert response.headers["access-control-allow-origin"] == PAGES
    assert "retry-after" in response.headers["access-control-expose-headers"].lower()


async def test_a_preflight_is_charged_to_no_rate_limit(start_app: StartApp) -> None:
    async with start_app(cors_allow_origins=(PAGES,), rate_limit_general=Rate(1, 60)) as client:
        preflights = [await client.options(BUGS, headers=PREFLIGHT) for _ in range(3)]
        assert [response.status_code for response in preflights] == [204, 204, 204]
        assert all("x-request-id" in response.headers for response in preflights)
        assert (await client.get(BUGS, headers={"Origin": PAGES})).status_code == 200


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"Origin": "https://evil.example"}, "Origin"),
        ({"Origin": f"{PAGES}.evil.example"}, "Origin"),
        ({"Access-Control-Request-Method": "TRACE"}, "Access-Control-Request-Method"),
        ({"Access-Control-Request-Headers": "content-type, x-evil"}, "Access-Control-Request-Headers"),
    ],
)
async def test_a_preflight_for_what_is_not_allowed_is_refused(
    start_app: StartApp, asked: dict[str, str], field: str
) -> None:
    async with start_app(cors_allow_origins=(PAGES,)) as client:
        response = await client.options(BUGS, headers=PREFLIGHT | asked)
    refused(response, 400, "VALIDATION_ERROR")
    assert [one["field"] for one in response.json()["error"]["fields"]] == [field]
    assert "access-control-allow-origin" not in response.headers


async def test_every_origin_may_be_allowed(start_app: StartApp) -> None:
    async with start_app(cors_allow_origins=("*",)) as client:
        for response in (
            await client.options(BUGS, headers=PREFLIGHT),
            await client.get(BUGS, headers={"Origin": PAGES}),
        ):
            assert response.headers["access-control-allow-origin"] == "*"


async def test_by_default_no_other_origin_may_call(client: httpx.AsyncClient) -> None:
    response = await client.get(BUGS, headers={"Origin": "https://app.example"})
    assert "access-control-allow-origin" not in response.headers
    options = await client.options(BUGS)
    assert options.is_success
    assert "access-control-allow-origin" not in options.headers
