"""What may be cached, for how long it is right, and how it is sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from bugrelay.infra.redis.cache import TTL_SECONDS
from bugrelay.infra.redis.local_cache import LOCAL_SECONDS
from tests.api.v1.bugs.test_attachments import picture
from tests.conftest import StartApp
from tests.factories import Person, a_report, register, report
from tests.pace import undisturbed
from tests.responses import ids_of

Bug = dict[str, Any]
BUGS = "/api/v1/bugs"


def public_paths(bug: Bug) -> list[str]:
    path = f"{BUGS}/{bug['id']}"
    return [
        BUGS,
        f"{BUGS}?search=draft",
        f"{BUGS}?page=2",
        path,
        f"{path}/comments",
        f"{path}/history",
        "/api/v1/tags",
    ]


async def test_public_responses_may_be_stored_but_must_be_revalidated(
    client: httpx.AsyncClient, bug: Bug
) -> None:
    for path in (*public_paths(bug), "/api/v1/config"):
        response = await client.get(path)
        assert response.headers["cache-control"] == "public, no-cache", path
        vary = {name.strip().lower() for name in response.headers["vary"].split(",")}
        assert {"authorization", "accept-encoding"} <= vary
        etag = response.headers["etag"]
        for known in (etag, f'"other", {etag}', "*", etag.removeprefix("W/")):
            unchanged = await client.get(path, headers={"If-None-Match": known})
            assert (unchanged.status_code, unchanged.content) == (304, b""), (path, known)
            assert unchanged.headers["etag"] == etag
            assert unchanged.headers["cache-control"] == "public, no-cache"
            assert "vary" in unchanged.headers
        for other in ('"other"', 'W/"other"', ""):
            assert (await client.get(path, headers={"If-None-Match": other})).status_code == 200


async def test_a_changed_bug_has_another_etag(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    path = f"{BUGS}/{bug['id']}"
    for url in (BUGS, path):
        etag = (await client.get(url)).headers["etag"]
        await client.post(f"{path}/vote", headers=ada.headers)
        changed = await client.get(url, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag


async def test_responses_to_signed_in_viewers_are_private(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    for path in (*public_paths(bug), "/api/v1/auth/profile"):
        response = await client.get(path, headers=ada.headers)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "private, no-store"
        assert "etag" not in response.headers
        assert "x-cache" not in response.headers
        assert "authorization" in response.headers["vary"].lower()


async def test_responses_to_writes_and_errors_are_not_stored(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    for response in (
        await client.post(BUGS, json=a_report()),
        await client.post(f"{BUGS}/{bug['id']}/vote", headers=ada.headers),
        await client.get(f"{BUGS}/5"),
        await client.get(f"{BUGS}?page=0"),
        await client.get("/nothing"),
    ):
        assert "no-store" in response.headers["cache-control"]
        assert "etag" not in response.headers


async def test_the_cache_says_whether_it_served(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    path = f"{BUGS}/{bug['id']}"

    async def miss_and_hit(*urls: str) -> None:
        await client.post(f"{path}/vote", headers=ada.headers)
        answers = [(await client.get(url)).headers["x-cache"] for url in urls]
        assert answers == ["MISS"] + ["HIT"] * (len(urls) - 1)

    one_query = [
        f"{BUGS}?{query}"
        for query in (
            "status=open&sort=recent",
            "sort=recent&status=open",
            "status=open&page=1&limit=20",
            "q=&status=open",
        )
    ]
    twice = [[url, url] for url in (BUGS, f"{BUGS}?sort=popular", f"{BUGS}?search=draft", path)]
    for urls in (*twice, one_query):
        await undisturbed(partial(miss_and_hit, *urls), seconds=LOCAL_SECONDS)


async def test_a_hit_is_the_same_response(client: httpx.AsyncClient, bug: Bug) -> None:
    for path in (BUGS, f"{BUGS}/{bug['id']}"):
        miss, hit = await client.get(path), await client.get(path)
        assert (miss.content, miss.headers["etag"]) == (hit.content, hit.headers["etag"])


async def test_a_cached_response_equals_a_routed_one(client: httpx.AsyncClient, bug: Bug) -> None:
    own = {"x-cache", "x-request-id"}

    async def hot_answer(path: str, headers: dict[str, str]) -> httpx.Response:
        await client.get(path)
        hot = await client.get(path, headers={**headers, "X-Request-ID": "mine-1"})
        assert hot.headers["x-cache"] == "HIT"
        assert hot.headers["x-request-id"] == "mine-1"
        return hot

    for path in (BUGS, f"{BUGS}/{bug['id']}"):
        for headers in ({}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}):
            routed = await client.get(f"{path}?n={uuid4()}", headers=headers)
            hot = await undisturbed(partial(hot_answer, path, headers), seconds=LOCAL_SECONDS)
            assert {k: v for k, v in hot.headers.items() if k not in own} == {
                k: v for k, v in routed.headers.items() if k not in own
            }
            assert hot.json() == routed.json()
        known_headers = {"If-None-Match": hot.headers["etag"]}
        known = await undisturbed(partial(hot_answer, path, known_headers), seconds=LOCAL_SECONDS)
        assert (known.status_code, known.content) == (304, b"")
        assert "content-type" not in known.headers


async def test_a_cached_response_is_for_anonymous_requests_to_allowed_hosts(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    path = f"{BUGS}/{bug['id']}"

    async def hit_and_others() -> None:
        await client.get(path)
        assert (await client.get(path)).headers["x-cache"] == "HIT"
        assert (await client.get(path, headers=ada.headers)).json()["bug"]["voted"] is False
        assert (await client.get(path, headers={"Authorization": "Bearer no"})).status_code == 401

    await undisturbed(hit_and_others, seconds=LOCAL_SECONDS)


async def test_head_is_get_without_its_body(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    for path in (*public_paths(bug), "/health", "/ready", "/docs", "/docs/openapi.json", "/api/v1/config"):
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)
    missing = await client.head("/nothing")
    assert (missing.status_code, missing.content) == (404, b"")


async def test_responses_are_compressed_on_request(client: httpx.AsyncClient) -> None:
    await report(client, description="long words " * 400)
    plain = await client.get(BUGS, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-length"] == str(len(plain.content))
    zipped = await client.get(BUGS, headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content)
    assert zipped.headers["etag"] == plain.headers["etag"]
    known = {"If-None-Match": plain.headers["etag"], "Accept-Encoding": "gzip"}
    assert (await client.get(BUGS, headers=known)).status_code == 304
    refused = await client.get(BUGS, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers
    head = await client.head(BUGS, headers={"Accept-Encoding": "gzip"})
    assert (head.status_code, head.content) == (200, b"")


async def test_compression_is_plain_gzip(client: httpx.AsyncClient) -> None:
    await report(client, description="long words " * 400)
    async with client.stream("GET", BUGS, headers={"Accept-Encoding": "gzip"}) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert json.loads(gzip.decompress(raw))["pagination"]["total"] == 1


# --- freshness ------------------------------------------------------------------------------------------------------


async def views(client: httpx.AsyncClient, bug: Bug, headers: dict[str, str]) -> list[str]:
    """What a reader sees of the board, without the rate headers and moments of reading."""
    return [(await client.get(path, headers=headers)).text for path in public_paths(bug)]


async def test_every_write_is_seen_at_once_by_its_writer_and_by_others(
    client: httpx.AsyncClient, member: Person, ada: Person
) -> None:
    """Others may wait for a second by the contract; in one process the cache forgets before the write is answered."""
    bug = await report(
        client, ada, application_name="Paper", application_url="https://app.paper.example", tags=["ui"]
    )
    path = f"{BUGS}/{bug['id']}"
    files = {"file": ("a.png", picture(), "image/png")}
    writes: list[tuple[Person, str, str, dict[str, Any]]] = [
        (ada, "PATCH", path, {"json": {"title": "Another title"}}),
        (ada, "POST", f"{path}/vote", {}),
        (ada, "DELETE", f"{path}/vote", {}),
        (ada, "PUT", f"{path}/vote", {}),
        (member, "POST", f"{path}/comments", {"json": {"content": "A comment"}}),
        (member, "POST", f"{path}/company-response", {"json": {"content": "A response"}}),
        (member, "PATCH", f"{path}/status", {"json": {"status": "fixed"}}),
        (ada, "POST", f"{path}/attachments", {"files": files}),
        (ada, "POST", BUGS, {"json": a_report(title="One bug more")}),
    ]
    for writer, method, url, body in writes:
        before = {None: await views(client, bug, {}), "writer": await views(client, bug, writer.headers)}
        response = await client.request(method, url, headers=writer.headers, **body)
        assert response.is_success, response.text
        assert await views(client, bug, writer.headers) != before["writer"], (method, url)
        assert await views(client, bug, {}) != before[None], (method, url)

    comment = (await client.get(f"{path}/comments")).json()["comments"][0]
    for method, body in (("PATCH", {"json": {"content": "Corrected"}}), ("DELETE", {})):
        before_all = await views(client, bug, {})
        await client.request(method, f"/api/v1/comments/{comment['id']}", headers=member.headers, **body)
        assert await views(client, bug, {}) != before_all
    detail = (await client.get(path)).json()["bug"]
    before_all = await views(client, bug, {})
    await client.delete(f"{path}/attachments/{detail['attachments'][0]['id']}", headers=ada.headers)
    assert await views(client, bug, {}) != before_all


async def test_other_processes_show_a_write_within_a_second(start_app: StartApp) -> None:
    async with start_app() as one, start_app() as other:
        ada = await register(one, "ada")
        bug = await report(one)
        for _ in range(3):
            assert ids_of(await other.get(BUGS)) == [bug["id"]]
        newer = await report(one, ada)
        assert ids_of(await other.get(BUGS, headers=ada.headers)) == [newer["id"], bug["id"]]
        await asyncio.sleep(1)
        assert ids_of(await other.get(BUGS)) == [newer["id"], bug["id"]]


async def test_a_change_without_an_invalidation_is_seen_within_a_second(
    client: httpx.AsyncClient, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    paths = (BUGS, f"{BUGS}?search=draft", f"{BUGS}/{bug['id']}")
    for path in paths:
        assert (await client.get(path)).status_code == 200
    sql.execute("UPDATE bugs SET removed_at = now()")
    await asyncio.sleep(1)
    assert ids_of(await client.get(paths[0])) == ids_of(await client.get(paths[1])) == []
    assert (await client.get(paths[2])).status_code == 404


async def test_a_response_stays_fresh_while_nothing_is_written_and_no_longer(
    client: httpx.AsyncClient, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    """Whoever is served again and again what was read long ago would have been told the same now."""
    lived = read_at = 0.0
    async with asyncio.timeout(30):
        while lived < 2 * (TTL_SECONDS + LOCAL_SECONDS):
            response = await client.get(BUGS)
            if response.headers["x-cache"] == "MISS":
                read_at = time.monotonic()
            lived = time.monotonic() - read_at
            await asyncio.sleep(0.01)
    sql.execute("UPDATE bugs SET removed_at = now()")
    await asyncio.sleep(1)
    assert ids_of(await client.get(BUGS)) == []


async def test_concurrent_cold_readers_get_the_same_response(client: httpx.AsyncClient, bug: Bug) -> None:
    answers = await asyncio.gather(*(client.get(f"{BUGS}?sort=oldest") for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("host", ["board.example", "BOARD.example:8000", "[::1]"])
async def test_only_the_sites_own_names_are_answered_to(start_app: StartApp, host: str) -> None:
    async with start_app(allowed_hosts=("board.example", "[::1]")) as client:
        assert (await client.get("/health", headers={"Host": host})).status_code == 200
        assert (await client.get("/health", headers={"Host": "evil.example"})).status_code == 400
