"""Rate limits as clients meet them."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import httpx
import pytest

from bugrelay.settings import Rate
from tests.conftest import StartApp
from tests.factories import PASSWORD, a_report
from tests.pace import undisturbed
from tests.responses import refused

pytestmark = pytest.mark.usefixtures("fresh_counts")

BUGS = "/api/v1/bugs"
MINUTE = 60


def rate_headers(response: httpx.Response) -> tuple[int, int]:
    """Limit and what remains; the reset is seconds until the window is free."""
    assert 1 <= int(response.headers["x-ratelimit-reset"]) <= MINUTE
    return int(response.headers["x-ratelimit-limit"]), int(response.headers["x-ratelimit-remaining"])


async def test_every_request_under_the_base_path_counts(start_app: StartApp) -> None:
    async with start_app(rate_limit_general=Rate(6, MINUTE)) as client:
        paths = (BUGS, "/api/v1/nothing", f"{BUGS}/5", "/api/v1/tags?page=0", "/api/v1/config")
        for used, path in enumerate(paths, start=1):
            response = await client.get(path)
            assert response.status_code != 429
            assert rate_headers(response) == (6, 6 - used), path
        assert (await client.put(BUGS)).status_code == 405
        for path in paths:
            response = await client.get(path)
            error = refused(response, 429, "RATE_LIMIT_EXCEEDED")
            assert "try again" in error["message"]
            assert rate_headers(response) == (6, 0)
            assert 1 <= int(response.headers["retry-after"]) <= MINUTE


async def test_paths_outside_the_base_path_are_not_limited(start_app: StartApp) -> None:
    async with start_app(rate_limit_general=Rate(1, MINUTE)) as client:
        await client.get(BUGS)
        for path in ("/health", "/ready", "/docs", "/docs/openapi.json", "/uploads/bugs/x.png"):
            response = await client.get(path)
            assert response.status_code in (200, 404)
            assert "x-ratelimit-limit" not in response.headers
        refused(await client.get(BUGS), 429, "RATE_LIMIT_EXCEEDED")


async def test_reports_have_a_separate_limit_as_well(start_app: StartApp) -> None:
    limits = {"rate_limit_general": Rate(60, MINUTE), "rate_limit_bug_submission": Rate(5, MINUTE)}
    async with start_app(**limits) as client:
        for left in (4, 3, 2, 1, 0):
            response = await client.post(BUGS, json=a_report())
            assert response.status_code == 201
            assert rate_headers(response) == (5, left)
        refused(await client.post(BUGS, json=a_report()), 429, "RATE_LIMIT_EXCEEDED")
        assert rate_headers(await client.get(BUGS)) == (60, 54)  # refused calls do not count


@pytest.mark.parametrize(
    "path", ["/api/v1/bugs/", "/api/v1//bugs", "//api/v1/bugs", "/api/v1/bugs//", "/api/v1/bugs?x=1"]
)
async def test_no_spelling_of_the_path_evades_the_limit(start_app: StartApp, path: str) -> None:
    async with start_app(rate_limit_bug_submission=Rate(1, MINUTE)) as client:
        assert (await client.post(BUGS, json=a_report())).status_code == 201
        response = await client.request("POST", httpx.URL(f"http://board.example{path}"), json=a_report())
        assert response.status_code in (429, 404), response.status_code


async def test_bad_reports_count_too(start_app: StartApp) -> None:
    async with start_app(rate_limit_bug_submission=Rate(2, MINUTE)) as client:
        assert (await client.post(BUGS, json={})).status_code == 400
        assert (await client.post(BUGS, content=b"{")).status_code == 415
        refused(await client.post(BUGS, json=a_report()), 429, "RATE_LIMIT_EXCEEDED")


async def test_refused_calls_do_not_prolong_the_wait(start_app: StartApp) -> None:
    trusted, addresses = (
        (ipaddress.ip_network("127.0.0.0/8"),),
        ipaddress.ip_network("203.0.113.0/24").hosts(),
    )
    async with start_app(rate_limit_general=Rate(1, 1), trusted_proxies=trusted) as client:

        async def refused_for_most_of_the_window() -> dict[str, str]:
            headers = {"X-Forwarded-For": str(next(addresses))}
            assert (await client.get(BUGS, headers=headers)).status_code == 200
            for _ in range(5):
                refused(await client.get(BUGS, headers=headers), 429, "RATE_LIMIT_EXCEEDED")
                await asyncio.sleep(0.15)
            return headers

        headers = await undisturbed(refused_for_most_of_the_window, seconds=0.95)
        await asyncio.sleep(0.4)
        assert (await client.get(BUGS, headers=headers)).status_code == 200


async def test_signing_in_has_one_limit_for_its_three_ways(start_app: StartApp) -> None:
    async with start_app(rate_limit_sign_in=Rate(3, MINUTE)) as client:
        account = {"email": "ada@people.example", "username": "ada", "password": PASSWORD}
        assert (await client.post("/api/v1/auth/register", json=account)).status_code == 201
        assert (await client.post("/api/v1/auth/login", json=account)).status_code == 200
        assert (await client.post("/api/v1/auth/refresh", json={"refresh_token": "x"})).status_code == 401
        for way in ("register", "login", "refresh"):
            refused(await client.post(f"/api/v1/auth/{way}", json=account), 429, "RATE_LIMIT_EXCEEDED")
        assert (await client.get(BUGS)).status_code == 200


async def test_calls_at_once_are_counted_exactly(start_app: StartApp) -> None:
    rate = Rate(10, MINUTE)
    async with start_app(rate_limit_general=rate) as one, start_app(rate_limit_general=rate) as two:
        answers = await asyncio.gather(*(client.get("/api/v1/config") for client in (one, two) * 15))
        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 20


# --- whose call it is -----------------------------------------------------------------------------------------------


async def test_a_forwarded_address_is_not_believed(start_app: StartApp) -> None:
    async with start_app(rate_limit_general=Rate(1, MINUTE)) as client:
        assert (await client.get(BUGS)).status_code == 200
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"):
            refused(await client.get(BUGS, headers={name: "203.0.113.9"}), 429, "RATE_LIMIT_EXCEEDED")


async def test_behind_a_trusted_proxy_the_right_most_stranger_counts(start_app: StartApp) -> None:
    trusted = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))
    async with start_app(rate_limit_general=Rate(1, MINUTE), trusted_proxies=trusted) as client:

        async def status(forwarded: str) -> int:
            return (await client.get(BUGS, headers={"X-Forwarded-For": forwarded})).status_code

        assert await status("203.0.113.1") == 200
        assert await status("203.0.113.2") == 200
        assert await status("198.51.100.7, 203.0.113.1") == 429
        assert await status("203.0.113.1, 10.1.2.3") == 429
        assert await status("2001:db8:1:2::1") == 200
        assert await status("2001:db8:1:2:ffff::9") == 429
        assert await status("2001:db8:1:3::1") == 200


async def test_responses_have_no_limit_headers_if_limits_are_off(client: httpx.AsyncClient) -> None:
    response = await client.get(BUGS)
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


async def test_new_applications_are_limited_by_client_address(start_app: StartApp) -> None:
    async with start_app(new_applications_per_day=Rate(2, 86_400)) as client:

        async def named(name: str, **more: Any) -> httpx.Response:
            return await client.post(BUGS, json=a_report(application_name=name, **more))

        assert [(await named(name)).status_code for name in ("One", "Two")] == [201, 201]
        response = await named("Three")
        refused(response, 429, "RATE_LIMIT_EXCEEDED")
        assert int(response.headers["retry-after"]) >= 1
        refused(await named("One", application_url="https://one.example"), 429, "RATE_LIMIT_EXCEEDED")
        assert (await named(" oNE ")).status_code == 201
