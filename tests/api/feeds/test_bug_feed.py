"""The feed of one bug: its events, as everybody may see them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import httpx
import psycopg
from psycopg.rows import scalar_row

from bugrelay.domain.feeds.repository import BUG_EVENTS
from tests.api.feeds.reader import parsed
from tests.conftest import SignUp
from tests.factories import Person, make_member, report
from tests.responses import bad_fields, refused

BUGS = "/api/v1/bugs"
ATOM = {"atom": "http://www.w3.org/2005/Atom"}


def feed_path(bug_id: str) -> str:
    return f"/feeds/bugs/{bug_id}.atom"


async def titles(client: httpx.AsyncClient, bug_id: str) -> list[str]:
    return [entry.title for entry in parsed(await client.get(feed_path(bug_id))).entries]


async def comment(client: httpx.AsyncClient, person: Person, bug_id: str, content: str) -> str:
    response = await client.post(
        f"{BUGS}/{bug_id}/comments", json={"content": content}, headers=person.headers
    )
    assert response.status_code == 201
    return str(response.json()["comment"]["id"])


async def merge(client: httpx.AsyncClient, admin: Person, source: str, target: str) -> None:
    ids = {"source_bug_id": source, "target_bug_id": target, "reason": "The same"}
    response = await client.post("/api/v1/admin/bugs/merge", json=ids, headers=admin.headers)
    assert response.status_code == 200


async def test_a_feed_reader_reads_what_has_happened_newest_first(
    client: httpx.AsyncClient, ada: Person, sign_up: SignUp, sql: psycopg.Connection[Any]
) -> None:
    bug = await report(client, ada, application_url="https://paper.example")
    path = f"{BUGS}/{bug['id']}"
    grace = await sign_up("grace")
    make_member(sql, grace, bug["assigned_company_id"])
    await client.patch(path, json={"title": "It crashes", "app_version": "2"}, headers=ada.headers)
    await client.post(f"{path}/vote", headers=ada.headers)
    await comment(client, ada, bug["id"], "It is `worse` now")
    await client.post(f"{path}/company-response", json={"content": "We see it"}, headers=grace.headers)
    await client.patch(f"{path}/status", json={"status": "fixed"}, headers=grace.headers)
    feed = parsed(await client.get(feed_path(bug["id"])))
    assert feed.feed.title == "BugRelay: It crashes"
    assert feed.feed.id.endswith(f":bugs/{bug['id']}/events")
    shown = [(entry.title, entry.author) for entry in feed.entries]
    assert shown == [
        ("The status is now “fixed”; it was “open”.", "grace"),
        ("paper.example responded officially.", "paper.example"),
        ("ada commented.", "ada"),
        ("Changed: title, app version.", "ada"),
        ("ada reported this bug.", "ada"),
    ]
    assert feed.entries[2].content[0].value == "<p>It is <code>worse</code> now</p>"
    assert feed.entries[4].content[0].value == bug["description_html"].strip()
    assert len({entry.id for entry in feed.entries}) == 5
    assert all(":evt_" in entry.id and entry.id.startswith("tag:") for entry in feed.entries)
    assert feed.feed.updated == feed.entries[0].updated


async def test_hostile_texts_stay_texts(client: httpx.AsyncClient, ada: Person) -> None:
    hostile = "Ends ]]> early, <script>alert(1)</script> &amp; a < b"
    bug = await report(client, title=hostile)
    await comment(client, ada, bug["id"], hostile)
    response = await client.get(feed_path(bug["id"]))
    assert b"<script" not in response.content
    root = ET.fromstring(response.content)
    assert root.findtext("atom:title", None, ATOM) == f"BugRelay: {hostile}"
    (stored,) = (await client.get(f"{BUGS}/{bug['id']}/comments")).json()["comments"]
    assert root.findtext("atom:entry/atom:content", None, ATOM) == stored["content_html"]
    parsed(response)


async def test_what_is_removed_leaves_and_its_time_does_not_go_back(
    client: httpx.AsyncClient, ada: Person, admin: Person
) -> None:
    bug = await report(client)
    removed = await comment(client, ada, bug["id"], "Buy my book")
    withdrawn = await comment(client, ada, bug["id"], "I was wrong")
    before = parsed(await client.get(feed_path(bug["id"])))
    reason = {"reason": "It must be"}
    path = f"/api/v1/admin/comments/{removed}"
    await client.request("DELETE", path, json=reason, headers=admin.headers)
    await client.delete(f"/api/v1/comments/{withdrawn}", headers=ada.headers)
    after = parsed(await client.get(feed_path(bug["id"])))
    assert [entry.title for entry in after.entries] == ["Somebody reported this bug."]
    assert after.feed.updated > before.feed.updated
    assert after.entries[0].id == before.entries[-1].id
    await client.post(f"{path}/restore", json=reason, headers=admin.headers)
    assert await titles(client, bug["id"]) == ["ada commented.", "Somebody reported this bug."]


async def test_a_removed_bug_has_no_feed_for_anybody_and_a_merged_one_leads_to_its_survivor(
    client: httpx.AsyncClient, admin: Person
) -> None:
    removed, source, target = [(await report(client))["id"] for _ in range(3)]
    await client.request(
        "DELETE", f"/api/v1/admin/bugs/{removed}", json={"reason": "Spam"}, headers=admin.headers
    )
    await merge(client, admin, source, target)
    for headers in ({}, admin.headers):
        refused(await client.get(feed_path(removed), headers=headers), 404, "BUG_NOT_FOUND")
        moved = await client.get(feed_path(source), headers=headers)
        refused(moved, 308, "BUG_MERGED")
        assert moved.headers["location"] == feed_path(target)
    merged = "Another report of the same bug was merged into this one."
    assert await titles(client, target) == [merged, "Somebody reported this bug."]
    await client.post(
        f"/api/v1/admin/bugs/{source}/unmerge", json={"reason": "It is not"}, headers=admin.headers
    )
    assert await titles(client, source) == [
        "A merge was undone.",
        "This report was merged into another one.",
        "Somebody reported this bug.",
    ]


async def test_what_names_no_feed_is_not_found(client: httpx.AsyncClient, bug: dict[str, Any]) -> None:
    refused(await client.get(f"/feeds/bugs/{bug['id']}"), 404, "NOT_FOUND")
    refused(await client.get(f"/feeds/bugs/{bug['id']}.rss"), 404, "NOT_FOUND")
    refused(await client.get("/feeds/bugs/5.atom"), 400, "INVALID_ID")
    refused(await client.get(feed_path("00000000-0000-7000-8000-000000000000")), 404, "BUG_NOT_FOUND")
    assert (await client.get(feed_path(bug["id"].upper()))).status_code == 200


async def test_it_is_cached_and_fresh(client: httpx.AsyncClient, ada: Person, bug: dict[str, Any]) -> None:
    path = feed_path(bug["id"])
    etag = (await client.get(path)).headers["etag"]
    unchanged = await client.get(path, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    await comment(client, ada, bug["id"], "Here, too")
    changed = await client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert "x-cache" in changed.headers
    assert len(parsed(changed).entries) == 2
    detail = await client.get(f"{BUGS}/{bug['id']}")
    assert detail.headers["content-type"] == "application/json"


async def test_a_corrected_comment_is_the_same_entry_updated(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any]
) -> None:
    comment_id = await comment(client, ada, bug["id"], "It happens daily")
    before = parsed(await client.get(feed_path(bug["id"]))).entries[0]
    await client.patch(
        f"/api/v1/comments/{comment_id}", json={"content": "It happens hourly"}, headers=ada.headers
    )
    after = parsed(await client.get(feed_path(bug["id"]))).entries[0]
    assert (after.id, after.published) == (before.id, before.published)
    assert after.updated > before.updated
    assert "hourly" in after.content[0].value


async def test_it_has_the_fifty_latest(client: httpx.AsyncClient, ada: Person, bug: dict[str, Any]) -> None:
    for i in range(52):
        await comment(client, ada, bug["id"], f"number {i}")
    entries = parsed(await client.get(feed_path(bug["id"]))).entries
    assert [entry.content[0].value for entry in entries] == [f"<p>number {i}</p>" for i in range(51, 1, -1)]


async def test_a_parameter_is_refused_for_it_would_be_taken_for_a_filter(
    client: httpx.AsyncClient, bug: dict[str, Any]
) -> None:
    path = feed_path(bug["id"])
    assert (await client.get(path)).status_code == 200
    assert bad_fields(await client.get(f"{path}?type=status.changed&limit=5")) == ["limit", "type"]


async def test_votes_are_not_passed_over_one_by_one(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], sql: psycopg.Connection[Any]
) -> None:
    """Of a bug that thousands vote for, the statement reads the events that it shows, and no other."""
    await comment(client, ada, bug["id"], "Here, too")
    sql.execute(
        "INSERT INTO events (stream, seq, type, at, bug_id, visibility, data, cause)"
        " SELECT stream, seq + n, 'bug.voted', now() + n * interval '1 minute', bug_id, 'public',"
        "  '{\"vote_count\": 1}', cause FROM events, generate_series(1, 10000) n WHERE type = 'comment.created'"
    )
    sql.execute("ANALYZE events")
    with sql.cursor(row_factory=scalar_row) as cursor:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {BUG_EVENTS.sql}"
        cursor.execute(explain, {"bug_id": bug["id"], "limit": 50})  # type: ignore[arg-type]
        (plan,) = cursor.fetchone() or ()
    assert 2 <= sum(scanned(plan["Plan"], "events")) <= 10
    assert await titles(client, bug["id"]) == ["ada commented.", "Somebody reported this bug."]


def scanned(plan: dict[str, Any], table: str) -> list[float]:
    """How many rows each scan of the table has looked at."""
    own = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    below = [rows for child in plan.get("Plans", ()) for rows in scanned(child, table)]
    return below + ([own] if plan.get("Relation Name") == table else [])
