"""The feed of the list, as feed readers and XML parsers that are not ours read it."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import psycopg
import pytest

from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.feeds.schemas import FeedQuery
from bugrelay.infra.pagination import CursorQuery
from bugrelay.settings import Rate
from tests.api.feeds.reader import parsed
from tests.conftest import StartApp
from tests.factories import Person, put_bugs, report
from tests.responses import bad_fields, ids_of, refused

FEED = "/feeds/bugs.atom"
ATOM = {"atom": "http://www.w3.org/2005/Atom"}
HOSTILE = (
    "Ends ]]> early, <script>alert(1)</script> &amp; a < b",
    "<![CDATA[ not one ]]> and <!-- nor that -->",
    '"><img src=x onerror=alert(1)> \u202e turned',
    "&lt;b&gt; typed as it is, &#0; and &bogus;",
)


def bug_ids(response: httpx.Response) -> list[str]:
    return [entry.id.rpartition("/")[2] for entry in parsed(response).entries]


async def test_a_feed_reader_reads_the_newest_bugs(client: httpx.AsyncClient, ada: Person) -> None:
    first = await report(client, title="Nothing is saved")
    second = await report(
        client, ada, title="Too dark at night", tags=["night mode"], description="**Very** dark."
    )
    feed = parsed(await client.get(FEED))
    assert feed.feed.title == "BugRelay: bugs"
    newest, oldest = feed.entries
    assert (newest.title, oldest.title) == ("Too dark at night", "Nothing is saved")
    assert (newest.author, oldest.author) == ("ada", "anonymous")
    assert newest.id.endswith(f":bugs/{second['id']}")
    assert oldest.id.endswith(f":bugs/{first['id']}")
    assert newest.published.startswith(second["created_at"][:19])
    assert newest.updated >= newest.published
    assert newest.link == f"http://127.0.0.1:8000/api/v1/bugs/{second['id']}"
    assert [tag.term for tag in newest.tags] == ["night mode"]
    assert (newest.content[0].type, newest.content[0].value) == (
        "text/html",
        "<p><strong>Very</strong> dark.</p>",
    )
    links = {link.rel: link.href for link in feed.feed.links}
    assert links["self"] == "http://127.0.0.1:8000/feeds/bugs.atom"
    assert links["alternate"] == "http://127.0.0.1:8000/api/v1/bugs"


async def test_it_holds_what_rfc_4287_asks_of_every_feed_and_entry(
    client: httpx.AsyncClient, bug: dict[str, Any]
) -> None:
    for url in (FEED, f"{FEED}?search=nowhere"):
        root = ET.fromstring((await client.get(url)).content)
        for element in (root, *root.findall("atom:entry", ATOM)):
            for name in ("id", "title", "updated", "author", "link"):
                assert element.find(f"atom:{name}", ATOM) is not None, (url, element.tag, name)
            moment = element.findtext("atom:updated", None, ATOM)
            assert moment is not None
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", moment)
            identity = element.findtext("atom:id", None, ATOM)
            assert identity is not None
            assert re.fullmatch(r"tag:[a-z0-9.-]+,\d{4}-\d\d-\d\d:[\w/?=+%.-]+", identity)


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_texts_are_read_as_they_were_typed(client: httpx.AsyncClient, hostile: str) -> None:
    bug = await report(client, title=hostile, description=f"Here: {hostile}", tags=["a&b"])
    stored = (await client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]
    response = await client.get(FEED)
    entry = ET.fromstring(response.content).find("atom:entry", ATOM)
    assert entry is not None
    assert entry.findtext("atom:title", None, ATOM) == hostile
    assert entry.findtext("atom:content", None, ATOM) == stored["description_html"]
    assert len(list(entry)) == 8
    assert parsed(response).entries[0].content[0].value == stored["description_html"].strip()
    assert b"<script" not in response.content
    assert b"<img" not in response.content


async def test_what_xml_cannot_hold_is_left_out(
    client: httpx.AsyncClient, bug: dict[str, Any], sql: psycopg.Connection[Any]
) -> None:
    sql.execute(
        "UPDATE bugs SET title = E'a\\x01b\\x1bc\\uFFFEd\\uFFFFe\\U0001F41Ef', tags = E'{\"x\\x02\"}'"
    )
    feed = parsed(await client.get(FEED))
    assert feed.entries[0].title == "abcde\U0001f41ef"
    assert feed.entries[0].tags[0].term == "x"


async def test_it_has_the_fifty_newest(client: httpx.AsyncClient, sql: psycopg.Connection[Any]) -> None:
    stocked = put_bugs(sql, 60, same_moment=False)
    assert bug_ids(await client.get(FEED)) == stocked[:-51:-1]


def test_its_filters_are_those_of_the_list() -> None:
    order = {"sort", *CursorQuery.__struct_fields__}
    assert set(FeedQuery.__struct_fields__) == set(BugQuery.__struct_fields__) - order


async def test_filters_find_what_the_list_finds(client: httpx.AsyncClient, ada: Person) -> None:
    mine = await report(
        client, ada, priority="high", tags=["one", "two"], application_url="https://paper.example"
    )
    await report(client, title="Another one altogether", application_name="Ink")
    queries = [
        {"search": "draft"},
        {"status": "open"},
        {"priority": "high"},
        {"tags": "two,one"},
        {"application": "noteb"},
        {"company": "paper"},
        {"application_id": mine["application_id"]},
        {"company_id": mine["assigned_company_id"]},
        {"reporter_id": ada.id},
        {"status": "open", "priority": "high", "search": '"saving a draft"'},
        {"search": ""},
    ]
    for query in queries:
        listed = await client.get("/api/v1/bugs", params={**query, "sort": "recent"})
        response = await client.get(FEED, params=query)
        assert bug_ids(response) == ids_of(listed), query
        self_link = next(link.href for link in parsed(response).feed.links if link.rel == "self")
        followed = await client.get(self_link.removeprefix("http://127.0.0.1:8000"))
        assert bug_ids(followed) == ids_of(listed), query


async def test_each_filter_is_a_feed_of_its_own(client: httpx.AsyncClient, bug: dict[str, Any]) -> None:
    urls = [FEED, f"{FEED}?status=open", f"{FEED}?search=status%3Dopen", f"{FEED}?tags=open"]
    assert len({parsed(await client.get(url)).feed.id for url in urls}) == len(urls)
    same = [f"{FEED}?status=open&priority=low", f"{FEED}?priority=low&status=open"]
    assert len({parsed(await client.get(url)).feed.id for url in same}) == 1


async def test_a_search_that_nothing_matches_in_full_waits_for_the_first(client: httpx.AsyncClient) -> None:
    await report(client)
    query = {"search": "draft unicorn"}
    assert ids_of(await client.get("/api/v1/bugs", params=query)) != []
    assert bug_ids(await client.get(FEED, params=query)) == []


async def test_a_filter_that_is_not_known_or_does_not_fit_is_refused(client: httpx.AsyncClient) -> None:
    assert bad_fields(await client.get(f"{FEED}?statsu=open&page=2&sort=popular")) == [
        "page",
        "sort",
        "statsu",
    ]
    assert bad_fields(await client.get(f"{FEED}?status=closed&colour=red")) == ["colour", "status"]
    assert bad_fields(await client.get(f"{FEED}?company_id=5")) == ["company_id"]


async def test_an_unchanged_feed_is_304(client: httpx.AsyncClient, ada: Person, bug: dict[str, Any]) -> None:
    etag = (await client.get(FEED)).headers["etag"]
    known = {"If-None-Match": etag}
    for _ in range(2):  # served from the cache the first time; read anew the second
        unchanged = await client.get(FEED, headers=known)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)
    await report(client, title="And another one")
    changed = await client.get(FEED, headers=known)
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_it_is_cached_as_what_it_is(client: httpx.AsyncClient) -> None:
    await report(client, description="It is dark. " * 100)
    answers: dict[str, httpx.Response] = {}
    while set(answers) != {"MISS", "HIT"}:  # whichever entry has expired meanwhile
        for query in ("status=open&tags=", "tags=&status=open", "status=open"):
            response = await client.get(f"{FEED}?{query}")
            answers[response.headers["x-cache"]] = response
    assert len({answer.headers["etag"] for answer in answers.values()}) == 1
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
        assert answer.headers["cache-control"] == "public, no-cache"
        assert answer.headers["content-encoding"] == "gzip"
    listed = await client.get("/api/v1/bugs?status=open")
    assert listed.headers["content-type"] == "application/json"
    head = await client.head(f"{FEED}?status=open")
    assert (head.status_code, head.content) == (200, b"")


async def test_the_signed_in_read_what_everybody_reads(
    client: httpx.AsyncClient, admin: Person, bug: dict[str, Any]
) -> None:
    response = await client.get(FEED, headers=admin.headers)
    assert bug_ids(response) == [bug["id"]]
    assert response.headers["cache-control"] == "private, no-store"


async def test_what_leaves_the_board_leaves_it_and_its_time_does_not_go_back(
    client: httpx.AsyncClient, admin: Person
) -> None:
    kept, merged, removed = [(await report(client))["id"] for _ in range(3)]
    before = parsed(await client.get(FEED))
    assert [entry.id.rpartition("/")[2] for entry in before.entries] == [removed, merged, kept]
    act = {"json": {"reason": "It must be"}, "headers": admin.headers}
    assert (await client.request("DELETE", f"/api/v1/admin/bugs/{removed}", **act)).status_code == 200
    merge = {"source_bug_id": merged, "target_bug_id": kept, "reason": "The same"}
    response = await client.post("/api/v1/admin/bugs/merge", json=merge, headers=admin.headers)
    assert response.status_code == 200
    for headers in ({}, admin.headers):
        response = await client.get(FEED, headers=headers)
        assert bug_ids(response) == [kept]
        assert parsed(response).feed.updated > before.feed.updated


async def test_ids_stay_when_the_board_moves(
    start_app: StartApp, bug: dict[str, Any], client: httpx.AsyncClient
) -> None:
    async with start_app(public_url="https://old.example/board") as former:
        before = parsed(await former.get(FEED))
    async with start_app(public_url="https://new.example") as moved:
        after = parsed(await moved.get(FEED))
    assert before.entries[0].link == f"https://old.example/board/api/v1/bugs/{bug['id']}"
    assert after.entries[0].link == f"https://new.example/api/v1/bugs/{bug['id']}"
    assert before.feed.id.startswith("tag:old.example,")
    assert (after.feed.id, after.entries[0].id) == (before.feed.id, before.entries[0].id)


@pytest.mark.parametrize(
    ("public_url", "authority"),
    [
        ("https://Bücher.example:8443/x", "xn--bcher-kva.example"),
        ("http://[::1]:8000", "localhost"),
        ("http://my_board:8000", "localhost"),
    ],
)
async def test_an_authority_is_a_dns_name(start_app: StartApp, public_url: str, authority: str) -> None:
    async with start_app(public_url=public_url) as client:
        assert parsed(await client.get(FEED)).feed.id.startswith(f"tag:{authority},")


async def test_feeds_have_a_limit_of_their_own(start_app: StartApp, fresh_counts: None) -> None:
    async with start_app(rate_limit_feeds=Rate(2, 60)) as client:
        answers = [await client.get(FEED) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        refused(answers[-1], 429, "RATE_LIMIT_EXCEEDED")
        assert answers[1].headers["x-ratelimit-remaining"] == "0"
        assert (await client.get("/api/v1/bugs")).status_code == 200
