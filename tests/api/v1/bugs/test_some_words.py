"""`GET /bugs?search=`: after the bugs with all words, those with some, in the ranking of similar bugs."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from bugrelay.domain.bugs.search import some_words
from bugrelay.domain.bugs.similar import finder
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import Moderator
from tests.factories import EPOCH, Person, put_application, put_bug, report
from tests.responses import bad_fields, ids_of

BUGS = "/api/v1/bugs"
FILLER = "Nothing of note in here at all."
Sql = psycopg.Connection[Any]


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def page(client: httpx.AsyncClient, search: str, **query: Any) -> dict[str, Any]:
    response = await client.get(BUGS, params={"search": search, **query})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def titles(client: httpx.AsyncClient, search: str, **query: Any) -> list[str]:
    return [bug["title"] for bug in (await page(client, search, **query))["bugs"]]


async def put(client: httpx.AsyncClient, *titles: str, **fields: Any) -> list[str]:
    return [(await report(client, **{"title": one, "description": FILLER, **fields}))["id"] for one in titles]


@pytest.mark.parametrize("folded", [False, True])
async def test_bugs_with_some_of_the_words_follow_those_with_all(
    folded: bool, client: httpx.AsyncClient, platform: Platform
) -> None:
    await put(
        client,
        "Galaxy map rotates",
        "Letters too small",
        "Map of the galaxy crashes when it rotates",
        "The map of a galaxy is empty",
    )
    if folded:
        await fold_similar(platform)
    body = await page(client, "crash rotating galaxy map")
    assert [bug["title"] for bug in body["bugs"]] == [
        "Map of the galaxy crashes when it rotates",
        "Galaxy map rotates",
        "The map of a galaxy is empty",
    ]
    assert (body["match"], body["pagination"]["total"]) == ("all", 1)
    assert "ranked" not in body
    body = await page(client, "crash rotating galaxy map beautifully")
    assert body["bugs"][0]["title"] == "Map of the galaxy crashes when it rotates"
    assert (body["match"], body["ranked"], body["pagination"]["total"]) == ("some", True, 3)


async def test_searches_of_one_or_two_words_are_not_extended(client: httpx.AsyncClient) -> None:
    await put(client, "Galaxy map", "Galaxy of stars", "Map of streets")
    for search, wanted in (
        ("galaxy map", 1),
        ("galaxy", 2),
        ("galaxy galaxy map map", 1),
        ("galaxy or map", 3),
    ):
        body = await page(client, search)
        assert (body["match"], len(body["bugs"]), body["pagination"]["total"]) == ("all", wanted, wanted), (
            search
        )
        assert body["pagination"]["next_cursor"] is None
    for search in ("galaxy unheardof", "unheardof map"):
        assert (await page(client, search))["match"] == "some"
    assert await titles(client, "unheardof") == []


async def test_in_other_orders_they_are_shown_where_no_bug_has_all_words(client: httpx.AsyncClient) -> None:
    older, newer, _ = await put(client, "Galaxy map rotates", "Galaxy map", "Letters too small")
    for sort in ("recent", "oldest", "popular", "trending"):
        assert await titles(client, "rotating galaxy map", sort=sort) == ["Galaxy map rotates"]
        body = await page(client, "rotating galaxy map beautifully", sort=sort)
        wanted = [older, newer] if sort == "oldest" else [newer, older]
        assert [bug["id"] for bug in body["bugs"]] == wanted, sort
        assert (body["match"], body["ranked"], body["pagination"]["total"]) == ("some", True, 2)


@pytest.mark.parametrize("folded", [False, True])
async def test_a_merged_bug_is_found_by_its_own_words_and_its_merge_chain_is_one_result(
    folded: bool, client: httpx.AsyncClient, platform: Platform, moderator: Moderator
) -> None:
    survivor, other = await put(client, "Galaxy map crashes", "The galaxy is slow")
    merged, twin = await put(client, "Thumbnails of nebulae load slowly", "Slow nebulae thumbnails")
    await moderator.merge(merged, survivor)
    await moderator.merge(twin, survivor)
    if folded:
        await fold_similar(platform)
    for search in (
        "nebulae",
        "nebulae thumbnails",
        "slow thumbnails of nebulae",
        "when nebulae thumbnails freeze",
    ):
        body = await page(client, search)
        assert body["bugs"][0]["id"] == survivor, search
        assert [bug["id"] for bug in body["bugs"]].count(survivor) == 1
    assert await titles(client, "nebulae -galaxy") == []
    assert [bug["id"] for bug in (await page(client, "galaxy crashes on thumbnails"))["bugs"]] == [
        survivor,
        other,
    ]
    await moderator.unmerge(merged)
    assert (await page(client, "load thumbnails of nebulae slowly"))["bugs"][0]["id"] == merged


@pytest.mark.parametrize("folded", [False, True])
async def test_what_nobody_may_see_is_neither_shown_nor_counted(
    folded: bool, client: httpx.AsyncClient, platform: Platform, moderator: Moderator
) -> None:
    seen, removed, survivor, merged = await put(
        client, "Galaxy map", "Galaxy map too", "Letters too small", "Galaxy map again"
    )
    await moderator.merge(merged, survivor)
    if folded:
        await fold_similar(platform)
    await moderator.remove(removed)
    await moderator.remove(survivor)
    body = await page(client, "beautiful galaxy map")
    assert ([bug["id"] for bug in body["bugs"]], body["pagination"]["total"]) == ([seen], 1)
    await moderator.restore(survivor)
    assert (await page(client, "beautiful galaxy map", limit=5))["pagination"]["total"] == 2


async def test_filters_apply_to_what_is_shown(
    client: httpx.AsyncClient, platform: Platform, moderator: Moderator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "MAX_SEARCHED", 2)
    low = await put(client, "Galaxy map", priority="low", tags=["maps"], application_name="Starfinder")
    merged = await put(client, "Galaxy map of dust", priority="low", application_name="Starfinder")
    high = await put(
        client, *(f"Galaxy map number {i}" for i in range(6)), priority="high", application_name="Sextant"
    )
    await fold_similar(platform)
    await moderator.merge(merged[0], high[0])
    for filters in (
        {"priority": "low"},
        {"tags": "maps"},
        {"application": "starf"},
        {"priority": "low", "status": "open"},
    ):
        body = await page(client, "beautiful galaxy map", **filters)
        assert ([bug["id"] for bug in body["bugs"]], body["pagination"]["total"]) == (low, 1), filters
    body = await page(client, "beautiful galaxy map", priority="high")
    assert sorted(bug["id"] for bug in body["bugs"]) == sorted(high)
    assert await titles(client, "beautiful galaxy map", status="fixed") == []


async def test_phrases_and_exclusions_hold_for_bugs_with_some_of_the_words(client: httpx.AsyncClient) -> None:
    await put(client, "Printer jams badly", "Printer jams loudly", "Jams of the printer")
    assert set(await titles(client, "printer jams unheardof")) == {
        "Printer jams badly",
        "Printer jams loudly",
        "Jams of the printer",
    }
    assert set(await titles(client, "printer jams unheardof -loudly")) == {
        "Printer jams badly",
        "Jams of the printer",
    }
    assert set(await titles(client, '"printer jams" unheardof')) == {
        "Printer jams badly",
        "Printer jams loudly",
    }
    assert await titles(client, '"printer jams" unheardof -loudly') == ["Printer jams badly"]
    assert await titles(client, '"unheardof printer" jams') == []
    assert await titles(client, '-"printer jams" jams unheardof') == ["Jams of the printer"]
    assert await titles(client, "printer jams badly -printer") == []


async def walked(client: httpx.AsyncClient, search: str, *, by_cursor: bool, **query: Any) -> list[str]:
    seen: list[str] = []
    place: dict[str, Any] = {"page": 1}
    while True:
        body = await page(client, search, **query, **place)
        seen += [bug["id"] for bug in body["bugs"]]
        where = body["pagination"]
        assert where["has_next"] is (where["next_cursor"] is not None)
        if not where["has_next"]:
            return seen
        place = {"cursor": where["next_cursor"]} if by_cursor else {"page": where["page"] + 1}


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("hits", [0, 3, 4, 8])
async def test_pages_and_cursors_walk_from_all_words_to_some(
    hits: int,
    folded: bool,
    client: httpx.AsyncClient,
    platform: Platform,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finder, "MAX_COMPARED", 8)  # pages are made of a part of the candidates and of all
    application_id = put_application(sql)
    kinds = ["Beautiful galaxy map"] * hits + ["Galaxy map", "Map", "Galaxy"] * 4
    for i, title in enumerate(kinds):
        put_bug(sql, application_id, title=f"{title} {i}", at=EPOCH + timedelta(days=i))
    if folded:
        await fold_similar(platform)
    search = "beautiful galaxy map"
    whole = await walked(client, search, by_cursor=False, limit=100)
    assert len(whole) == len(set(whole)) == len(kinds)
    for limit in (1, 2, 4, 7):
        assert await walked(client, search, by_cursor=False, limit=limit) == whole
        assert await walked(client, search, by_cursor=True, limit=limit) == whole
    first = await page(client, search, limit=4)
    assert first["match"] == ("all" if hits else "some")
    assert first["pagination"]["total"] == (hits or len(kinds))
    last = await page(client, search, limit=4, page=3)
    assert (last["match"], last["pagination"]["total"]) == ("some", hits or len(kinds))
    beyond = await page(client, search, limit=4, page=900)
    assert (beyond["bugs"], beyond["match"], beyond["pagination"]["has_next"]) == ([], "some", False)


async def test_a_cursor_is_shifted_by_nothing_that_comes_meanwhile(
    client: httpx.AsyncClient, platform: Platform, moderator: Moderator, sql: Sql
) -> None:
    application_id = put_application(sql)
    for i in range(9):
        put_bug(sql, application_id, title=f"Galaxy map {i}", at=EPOCH + timedelta(days=i))
    await fold_similar(platform)
    search, seen, cursor = "beautiful galaxy map", [], None
    whole = await walked(client, search, by_cursor=False, limit=100)
    while True:
        body = await page(client, search, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [bug["id"] for bug in body["bugs"]]
        cursor = body["pagination"]["next_cursor"]
        if cursor is None:
            break
        await report(client, title="Galaxy map that came later")
        if len(seen) == 4:
            await moderator.remove(seen[3])  # the one that the cursor stands behind
    assert seen == whole


async def test_a_search_shows_two_hundred_bugs_unless_more_have_all_words(
    client: httpx.AsyncClient, platform: Platform, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(some_words, "MAX_LISTED", 6)
    application_id = put_application(sql)
    for i in range(9):
        put_bug(sql, application_id, title=f"Galaxy map {i}" if i < 4 else f"Map of streets {i}")
    await fold_similar(platform)
    for search, listed, total in (
        ("beautiful galaxy map", 6, 6),
        ("a galaxy map", 6, 4),
        ("the map or galaxy map", 9, 9),
    ):
        walk = await walked(client, search, by_cursor=True, limit=4)
        assert (len(walk), len(set(walk))) == (listed, listed), search
        assert (await page(client, search))["pagination"]["total"] == total


def cursor_of(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["2026-01-01T00:00:00Z", 1],
        ["2026-01-01T00:00:00", 1, str(uuid4())],
        ["yesterday", 1, str(uuid4())],
        ["2026-01-01T00:00:00Z", 2**40, str(uuid4())],
        ["2026-01-01T00:00:00Z", 1, "7"],
        ["2026-01-01T00:00:00Z", 1, 1, str(uuid4())],
    ],
)
async def test_a_made_up_cursor_is_named(keys: list[Any], client: httpx.AsyncClient) -> None:
    cursor = cursor_of("relevance, some", 2, keys)
    response = await client.get(BUGS, params={"search": "beautiful galaxy map", "cursor": cursor})
    assert bad_fields(response) == ["cursor"]


async def test_a_cursor_may_say_any_moment(client: httpx.AsyncClient) -> None:
    bugs = await put(client, "Galaxy map")
    for at, found in (
        ("0001-01-01T00:00:00+14:00", []),
        ("1969-12-31T00:00:00Z", []),
        ("9999-12-31T23:59:59-14:00", bugs),
    ):
        cursor = cursor_of("relevance, some", 2, [at, -7, str(uuid4())])
        response = await client.get(BUGS, params={"search": "beautiful galaxy map", "cursor": cursor})
        assert ids_of(response) == found, response.text
    beside = {"search": "beautiful galaxy map", "cursor": cursor, "page": "2"}
    assert bad_fields(await client.get(BUGS, params=beside)) == ["cursor"]
    other = {"search": "beautiful galaxy map", "cursor": cursor, "sort": "recent"}
    assert bad_fields(await client.get(BUGS, params=other)) == ["cursor"]


ANYTHING = {
    "one word again and again": "galaxy " * 71,
    "stop words": "the of and is it or not " * 20,
    "many words": " ".join(f"w{i}" for i in range(140)),
    "Chinese": "登录失败后地图崩溃" * 55,
    "Chinese, each once": "".join(chr(0x4E00 + i) for i in range(500)),
    "code": "std::vector<T>& f(int a[]) { return a && b || c <= '\\''; } -- %s :name $1",
    "a long word": "ä" * 500,
    "quotes": 'it\'s "a b" \'b c\' \\ \\\' & | ! : * ( ) "galaxy" map -"x y"',
    "negations": "galaxy " + " ".join(f"-w{i}" for i in range(120)),
    "phrases": " ".join(f'"w{i} v{i}"' for i in range(45)),
    "phrases and or": " or ".join(f'"w{i} v{i}" -u{i}' for i in range(25)),
    "ligatures": "\ufdfa" * 500,
    "characters of control": "a\x01b \x1f c \u2060 d",
}


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("kind", ANYTHING)
async def test_anything_may_be_searched_for(
    kind: str, folded: bool, client: httpx.AsyncClient, platform: Platform, ada: Person
) -> None:
    await put(client, "Galaxy map crashes", "登录失败后地图崩溃了", "It is not the end of it")
    if folded:
        await fold_similar(platform)
    for filters in ({}, {"status": "open", "tags": "maps"}):
        params = {"search": ANYTHING[kind][:500], **filters}
        response = await client.get(BUGS, params=params, headers=ada.headers)
        assert response.status_code == 200, response.text


async def test_a_search_of_twenty_thousand_characters_and_one_with_nul_are_refused(
    client: httpx.AsyncClient,
) -> None:
    for search in ("galaxy " * 2857, "galaxy\0map is empty"):
        assert bad_fields(await client.get(BUGS, params={"search": search})) == ["search"]
