"""`GET /bugs` without a search, and `GET /tags`."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bugrelay.domain.bugs.search import planner
from tests.factories import (
    EPOCH,
    Person,
    make_member,
    merge_into,
    put_application,
    put_bug,
    put_bugs,
    put_comments,
    remove,
    report,
)
from tests.responses import bad_fields, ids_of

BUGS = "/api/v1/bugs"
ITEM_KEYS = {
    *("id", "title", "description", "status", "priority", "tags", "application_id", "reporter_id"),
    *("assigned_company_id", "vote_count", "comment_count", "created_at", "updated_at", "resolved_at"),
    *("application", "reporter", "assigned_company"),
}


async def test_an_item_is_the_bug_without_what_only_the_detail_shows(
    client: httpx.AsyncClient, ada: Person, admin: Person
) -> None:
    await report(client, ada, contact_email="me@people.example", operating_system="Debian")
    for headers in ({}, ada.headers, admin.headers):
        (item,) = (await client.get(BUGS, headers=headers)).json()["bugs"]
        assert item.keys() >= ITEM_KEYS
        hidden = {
            "attachments",
            "comments",
            "operating_system",
            "device_type",
            "app_version",
            "browser_version",
        }
        assert not item.keys() & (hidden | {"contact_email", "voted"})
        assert item["reporter"] == {"id": ada.id, "username": "ada"}


async def test_a_list_has_its_pagination(client: httpx.AsyncClient, sql: psycopg.Connection[Any]) -> None:
    put_bugs(sql, 45, same_moment=False)

    async def pagination(**query: Any) -> dict[str, Any]:
        body = (await client.get(BUGS, params=query)).json()
        assert body.keys() == {"bugs", "pagination"}
        pagination: dict[str, Any] = body["pagination"]
        assert (pagination.pop("next_cursor") is not None) == pagination["has_next"]
        return {**pagination, "rows": len(body["bugs"])}

    first = {
        "page": 1,
        "limit": 20,
        "total": 45,
        "total_pages": 3,
        "has_next": True,
        "has_prev": False,
        "rows": 20,
    }
    assert await pagination() == first
    last = {**first, "page": 3, "has_next": False, "has_prev": True, "rows": 5}
    assert await pagination(page=3) == last
    past = {**first, "page": 1_000_000, "has_next": False, "has_prev": True, "rows": 0}
    assert await pagination(page=1_000_000) == past
    assert (await pagination(limit=100))["total_pages"] == 1
    assert (await pagination(limit=45))["has_next"] is False


async def test_an_empty_board_has_no_pages(client: httpx.AsyncClient) -> None:
    body = (await client.get(BUGS)).json()
    assert body["bugs"] == []
    assert (body["pagination"]["total"], body["pagination"]["total_pages"]) == (0, 0)
    assert (body["pagination"]["has_next"], body["pagination"]["has_prev"]) == (False, False)


@pytest.mark.parametrize("path", ["/bugs", "/tags"])
async def test_page_and_limit_are_numbers_in_range(client: httpx.AsyncClient, path: str) -> None:
    for value in (
        "0",
        "-1",
        "1.5",
        "x",
        "1e3",
        "1" + "0" * 18,
        "9" * 5000,
        "0x1",
        "1 2",
        "null",
        "true",
        "1000001",
    ):
        for name in ("page", "limit"):
            assert bad_fields(await client.get(f"/api/v1{path}", params={name: value})) == [name], value


async def test_every_bad_parameter_is_named_at_once(client: httpx.AsyncClient) -> None:
    query = {
        "page": "x",
        "limit": "101",
        "status": "closed",
        "priority": "urgent",
        "sort": "votes",
        "company_id": "5",
        "application_id": "x",
        "reporter_id": "not-a-uuid",
        "search": "x" * 501,
    }
    assert bad_fields(await client.get(BUGS, params=query)) == sorted(query)


async def test_null_is_no_value_of_a_query(client: httpx.AsyncClient) -> None:
    query = {
        "status": "null",
        "priority": "null",
        "sort": "null",
        "company_id": "null",
        "reporter_id": "None",
    }
    assert bad_fields(await client.get(BUGS, params=query)) == sorted(query)
    assert (
        ids_of(await client.get(BUGS, params={"search": "null", "application": "null", "tags": "null"})) == []
    )


async def test_unknown_and_empty_parameters_are_ignored(
    client: httpx.AsyncClient, bug: dict[str, Any]
) -> None:
    empty = "&".join(
        f"{name}=" for name in ("page", "limit", "search", "status", "sort", "tags", "company_id")
    )
    assert ids_of(await client.get(f"{BUGS}?colour=red&{empty}")) == [bug["id"]]
    assert ids_of(await client.get(f"{BUGS}?status=%20%20&search=%20")) == [bug["id"]]


# --- order ----------------------------------------------------------------------------------------------------------


async def test_sorts(client: httpx.AsyncClient, sql: psycopg.Connection[Any]) -> None:
    application = put_application(sql)
    facts = [(0, 0), (5, 1), (5, 0), (2, 2), (0, 0)]  # votes, votes of the last 30 days; oldest first
    a, b, c, d, e = (
        put_bug(sql, application, votes=votes, recent=recent, at=EPOCH + timedelta(days=i))
        for i, (votes, recent) in enumerate(facts)
    )
    wanted = {
        "recent": [e, d, c, b, a],
        "oldest": [a, b, c, d, e],
        "popular": [c, b, d, e, a],
        "trending": [d, b, c, e, a],
        "relevance": [e, d, c, b, a],
    }
    for sort, order in wanted.items():
        assert ids_of(await client.get(BUGS, params={"sort": sort})) == order, sort
    assert ids_of(await client.get(BUGS)) == wanted["recent"]


async def test_trending_counts_votes_as_they_are_cast(client: httpx.AsyncClient, ada: Person) -> None:
    older, newer = await report(client), await report(client)
    assert ids_of(await client.get(BUGS, params={"sort": "trending"})) == [newer["id"], older["id"]]
    await client.put(f"{BUGS}/{older['id']}/vote", headers=ada.headers)
    assert ids_of(await client.get(BUGS, params={"sort": "trending"})) == [older["id"], newer["id"]]
    await client.delete(f"{BUGS}/{older['id']}/vote", headers=ada.headers)
    assert ids_of(await client.get(BUGS, params={"sort": "trending"})) == [newer["id"], older["id"]]


@pytest.mark.parametrize("same_moment", [True, False])
async def test_walking_the_pages_shows_every_row_exactly_once(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any], same_moment: bool
) -> None:
    everything = put_bugs(sql, 23, same_moment=same_moment)

    @hypothesis_settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(
        limit=st.integers(1, 30),
        sort=st.sampled_from(["recent", "oldest", "popular", "trending", "relevance", None]),
        search=st.sampled_from([None, "stocked", "stocked -nothing2", "unknown words stocked"]),
        signed_in=st.booleans(),
        by_cursor=st.booleans(),
    )
    def walk(limit: int, sort: str | None, search: str | None, signed_in: bool, by_cursor: bool) -> None:
        walks.append((limit, sort, search, signed_in, by_cursor))

    walks: list[tuple[int, str | None, str | None, bool, bool]] = []
    await asyncio.to_thread(walk)
    for limit, sort, search, signed_in, by_cursor in walks:
        query = {
            "limit": str(limit),
            **({"sort": sort} if sort else {}),
            **({"search": search} if search else {}),
        }
        seen: list[str] = []
        page, more, place = 1, True, {"page": "1"}
        while more:
            response = await client.get(
                BUGS, params={**query, **place}, headers=ada.headers if signed_in else {}
            )
            seen += ids_of(response)
            where = response.json()["pagination"]
            assert (where["page"], where["total"], where["has_prev"]) == (page, 23, page > 1)
            assert (where["next_cursor"] is not None) == where["has_next"]
            more = where["has_next"]
            page += 1
            place = {"cursor": where["next_cursor"]} if by_cursor else {"page": str(page)}
        assert sorted(seen) == sorted(everything), query
        assert page - 1 == -(-23 // limit)


async def test_a_cursor_is_shifted_by_nothing_that_comes_meanwhile(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    everything = put_bugs(sql, 10, same_moment=False)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        response = await client.get(BUGS, params=params)
        seen += ids_of(response)
        cursor = response.json()["pagination"]["next_cursor"]
        if cursor is None:
            break
        await report(client)
        params = {"limit": 3, "cursor": cursor}
    assert sorted(seen) == sorted(everything)


async def test_far_pages_of_all_bugs_are_the_same_however_they_are_reached(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_bugs(sql, 150, same_moment=False)
    sql.execute("ANALYZE bug_search")  # where to begin is guessed from the planner's statistics

    async def walk() -> list[str]:
        seen: list[str] = []
        for page in range(1, 18):
            response = await client.get(BUGS, params={"limit": 9, "page": page}, headers=ada.headers)
            seen += ids_of(response)
        return seen

    wanted = await walk()
    monkeypatch.setattr(planner, "DEEP_OFFSET", 1)
    assert await walk() == wanted
    newest = await report(client)
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = ANY(%s)", (wanted[20:30],))
    assert await walk() == [newest["id"], *wanted[:20], *wanted[30:]]


async def test_a_cursor_leads_on_among_bugs_with_some_of_the_words(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    everything = put_bugs(sql, 5, same_moment=True)
    query = {"search": "stocked elsewhere", "limit": 2}
    first = (await client.get(BUGS, params=query)).json()
    assert first["match"] == "some"
    rest = [
        await client.get(BUGS, params={**query, "cursor": first["pagination"]["next_cursor"], "limit": 9})
    ]
    assert sorted([bug["id"] for bug in first["bugs"]] + ids_of(rest[0])) == sorted(everything)


@pytest.mark.parametrize("search", ["-elsewhere", "the"])
async def test_a_search_without_a_word_that_ranks_has_no_page_of_some_of_its_words(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any], search: str
) -> None:
    put_bugs(sql, 3, same_moment=True)
    cursor = cursor_of("relevance, some", 2, ["2026-01-01T00:00:00Z", 1, str(uuid4())])
    answer = await client.get(BUGS, params={"search": search, "cursor": cursor})
    assert bad_fields(answer) == ["cursor"]


def cursor_of(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


async def test_a_cursor_that_no_list_gave_is_named(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    put_bugs(sql, 3, same_moment=False)

    an_id = str(uuid4())
    given = (await client.get(BUGS, params={"limit": 1})).json()["pagination"]["next_cursor"]
    for cursor, more in (
        ("x", {}),
        ("\u00e9", {}),
        ("%00", {}),
        (cursor_of(), {}),
        (cursor_of("recent", 2), {}),
        (cursor_of("recent", 1, ["2026-01-01T00:00:00Z", an_id]), {}),
        (cursor_of("recent", 2, ["yesterday", an_id]), {}),
        (cursor_of("recent", 2, ["2026-01-01T00:00:00Z", "7"]), {}),
        (cursor_of("recent", 2, ["2026-01-01T00:00:00Z"]), {}),
        (cursor_of("popular", 2, [10**20, "2026-01-01T00:00:00Z", an_id]), {"sort": "popular"}),
        (given, {"sort": "popular"}),
        (given, {"search": "stocked"}),
        (given, {"page": "2"}),
        ("x" * 501, {}),
    ):
        response = await client.get(BUGS, params={"cursor": cursor, **more})
        assert bad_fields(response) == ["cursor"], (cursor, more, response.text)
    followed = await client.get(BUGS, params={"cursor": given, "limit": "5"})
    assert len(followed.json()["bugs"]) == 2


# --- filters --------------------------------------------------------------------------------------------------------


async def test_status_and_priority_filter(client: httpx.AsyncClient, sql: psycopg.Connection[Any]) -> None:
    application = put_application(sql)
    for status in ("open", "reviewing", "fixed", "wont_fix"):
        for priority in ("low", "medium", "high", "critical"):
            put_bug(sql, application, status=status, priority=priority)
    for query, count in (
        ({"status": "wont_fix"}, 4),
        ({"priority": "low"}, 4),
        ({"status": "fixed", "priority": "critical"}, 1),
    ):
        body = (await client.get(BUGS, params=query)).json()
        assert body["pagination"]["total"] == len(body["bugs"]) == count
        assert all(query.items() <= one.items() for one in body["bugs"])


async def test_every_tag_must_be_on_the_bug(client: httpx.AsyncClient) -> None:
    both = await report(client, tags=["ui", "dark mode"])
    one = await report(client, tags=["ui"])
    for tags, wanted in {
        "ui": [one["id"], both["id"]],
        "UI, Dark Mode": [both["id"]],
        "ui,ui,,": [one["id"], both["id"]],
        "ui,none": [],
        "u": [],
        "<b>": [],
        "%": [],
        ",": [one["id"], both["id"]],
    }.items():
        assert ids_of(await client.get(BUGS, params={"tags": tags})) == wanted, tags


async def test_application_is_part_of_the_name_without_case(client: httpx.AsyncClient) -> None:
    names = ["Éditeur 100%", "snake_case", "snakeXcase", "Back\\slash", "Straße"]
    bugs = {name: (await report(client, application_name=name))["id"] for name in names}
    for part, wanted in {
        "édit": ["Éditeur 100%"],
        "ÉDITEUR 1": ["Éditeur 100%"],
        "e\u0301diteur": ["Éditeur 100%"],
        "%": ["Éditeur 100%"],
        "_": ["snake_case"],
        "E_C": ["snake_case"],
        "\\": ["Back\\slash"],
        "STRASSE": ["Straße"],
        "  snake  ": ["snakeXcase", "snake_case"],
        "'; DROP TABLE bugs; --": [],
    }.items():
        found = ids_of(await client.get(BUGS, params={"application": part}))
        assert found == [bugs[name] for name in wanted], part


async def test_company_is_part_of_the_name_without_case(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    bugs = {}
    for i, name in enumerate(["École 100%", "under_score", "underXscore"]):
        bug = await report(client, application_url=f"https://c{i}.example")
        sql.execute("UPDATE companies SET name = %s WHERE id = %s", (name, bug["assigned_company_id"]))
        bugs[name] = bug["id"]
    for part, wanted in {
        "ÉCOLE": ["École 100%"],
        "100%": ["École 100%"],
        "%": ["École 100%"],
        "R_S": ["under_score"],
        "under": ["underXscore", "under_score"],
        "\\": [],
    }.items():
        found = ids_of(await client.get(BUGS, params={"company": part}))
        assert found == [bugs[name] for name in wanted], part


async def test_filters_by_id_mean_exactly_that_one(client: httpx.AsyncClient, ada: Person) -> None:
    await report(client, application_name="Other")
    mine = await report(client, ada, application_url="https://paper.example")
    for name, value in {
        "application_id": mine["application_id"],
        "company_id": mine["assigned_company_id"],
        "reporter_id": ada.id,
    }.items():
        assert ids_of(await client.get(BUGS, params={name: value})) == [mine["id"]]
        assert ids_of(await client.get(BUGS, params={name: value.upper()})) == [mine["id"]]
        assert ids_of(await client.get(BUGS, params={name: str(uuid4())})) == []


async def test_removed_and_merged_bugs_are_in_no_list(
    client: httpx.AsyncClient, admin: Person, sql: psycopg.Connection[Any]
) -> None:
    kept = await report(client, tags=["kept"])
    remove(sql, (await report(client, tags=["hidden"], title="Hidden away"))["id"])
    merge_into(sql, (await report(client, tags=["hidden"], title="Merged away"))["id"], kept["id"])
    for headers in ({}, admin.headers):
        assert ids_of(await client.get(BUGS, params={"limit": 50}, headers=headers)) == [kept["id"]]
        assert ids_of(await client.get(BUGS, params={"search": "hidden"}, headers=headers)) == []
        assert ids_of(await client.get(BUGS, params={"tags": "hidden"}, headers=headers)) == []
        assert ids_of(await client.get(BUGS, params={"search": "merged"}, headers=headers)) == [kept["id"]]
        tags = (await client.get("/api/v1/tags", headers=headers)).json()
        assert (tags["tags"], tags["pagination"]["total"]) == ([{"name": "kept", "count": 1}], 1)


# --- tags and other lists ------------------------------------------------------------------------------------------


async def test_tags_are_counted_most_used_first(client: httpx.AsyncClient) -> None:
    for tags in (["ui", "crash"], ["ui", "c%"[:1]], ["ui", "crash", "usb_c"]):
        await report(client, tags=tags)
    listed = (await client.get("/api/v1/tags")).json()
    assert [(one["name"], one["count"]) for one in listed["tags"]] == [
        ("ui", 3),
        ("crash", 2),
        ("c", 1),
        ("usb_c", 1),
    ]
    assert listed["pagination"]["total"] == 4

    async def found(search: str) -> list[str]:
        answer = (await client.get("/api/v1/tags", params={"search": search})).json()
        return [one["name"] for one in answer["tags"]]

    assert await found("U") == ["ui", "usb_c"]
    assert await found("sb") == []
    assert await found("usb_") == ["usb_c"]
    assert await found("_") == await found("%") == []
    past = (await client.get("/api/v1/tags", params={"page": 9})).json()
    assert (past["tags"], past["pagination"]["total"]) == ([], 4)


async def test_comments_and_history_are_walked_like_any_list(
    client: httpx.AsyncClient, bug: dict[str, Any], sql: psycopg.Connection[Any], member: Person
) -> None:
    put_comments(sql, bug["id"], 7)
    for status in ("reviewing", "fixed", "open", "wont_fix", "open"):
        await client.patch(f"{BUGS}/{bug['id']}/status", json={"status": status}, headers=member.headers)
    for plural, total in (("comments", 7), ("history", 5)):
        seen = []
        for page in (1, 2, 3, 4):
            response = await client.get(f"{BUGS}/{bug['id']}/{plural}", params={"page": page, "limit": 3})
            seen += ids_of(response, plural)
            assert response.json()["pagination"]["total"] == total
        assert len(seen) == len(set(seen)) == total
        assert bad_fields(await client.get(f"{BUGS}/{bug['id']}/{plural}?page=0&limit=999")) == [
            "limit",
            "page",
        ]


async def test_a_query_has_a_hundred_parameters_at_most(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{BUGS}?" + "&".join(["x=1"] * 100))).status_code == 200
    assert bad_fields(await client.get(f"{BUGS}?" + "&".join(["x=1"] * 101))) == ["query"]


async def test_company_filters_show_bugs_of_members_companies_to_everybody(
    client: httpx.AsyncClient, bug: dict[str, Any], ada: Person, sql: psycopg.Connection[Any]
) -> None:
    make_member(sql, ada, bug["assigned_company_id"])
    (item,) = (await client.get(BUGS, params={"company": "paper"})).json()["bugs"]
    assert item["assigned_company"]["verified"] is True
