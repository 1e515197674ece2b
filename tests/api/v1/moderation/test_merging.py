"""Merging: one bug lives on as another one, and can come back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import (
    WHY,
    Moderator,
    Sql,
    attach,
    comment,
    dump,
    found_problems,
    merging,
    said,
    seen,
    vote,
    withdraw_vote,
)
from tests.conftest import SignUp
from tests.factories import Person
from tests.factories import report as report_bug
from tests.responses import bad_fields, refused

Bug = dict[str, Any]
NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def test_votes_become_the_union_by_user(
    client: httpx.AsyncClient,
    moderator: Moderator,
    ada: Person,
    bob: Person,
    bug: Bug,
    twin: Bug,
    sign_up: SignUp,
) -> None:
    cleo = await sign_up("cleo")
    for person, where in ((ada, bug), (bob, bug), (bob, twin), (cleo, twin)):
        await vote(client, person, where["id"])
    answer = await moderator.merge(twin["id"], bug["id"])
    assert answer == merging(twin["id"], bug["id"]) | {"message": "Bugs merged successfully"}
    assert (await seen(client, bug["id"]))["vote_count"] == 3


async def test_source_redirects_every_method_to_the_target(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bug: Bug, twin: Bug
) -> None:
    await moderator.merge(twin["id"], bug["id"])
    for method, tail in (
        ("GET", ""),
        ("POST", "/vote"),
        ("POST", "/flag"),
        ("GET", "/history"),
        ("GET", "/comments"),
    ):
        response = await client.request(method, f"/api/v1/bugs/{twin['id']}{tail}", headers=ada.headers)
        assert response.status_code == 308
        assert response.headers["location"] == f"/api/v1/bugs/{bug['id']}{tail}"


async def test_source_is_in_no_list_and_no_search(
    client: httpx.AsyncClient, moderator: Moderator, bug: Bug, twin: Bug
) -> None:
    await moderator.merge(twin["id"], bug["id"])
    listed = (await client.get("/api/v1/bugs")).json()["bugs"]
    assert [one["id"] for one in listed] == [bug["id"]]
    found = (await client.get("/api/v1/bugs", params={"search": twin["title"]})).json()["bugs"]
    assert [one["id"] for one in found] == [bug["id"]]
    assert [tag["name"] for tag in (await client.get("/api/v1/tags")).json()["tags"]] == ["drafts"]


async def test_comments_and_pictures_are_shown_with_the_target(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    await comment(client, ada, twin["id"], "first")
    await comment(client, bob, bug["id"], "second")
    picture = await attach(client, bob, twin["id"])
    await moderator.merge(twin["id"], bug["id"])
    merged = await seen(client, bug["id"])
    assert said(merged) == ["first", "second"]
    assert merged["comment_count"] == 3
    assert [one["file_url"] for one in merged["attachments"]] == [picture["file_url"]]
    assert (await client.get(picture["file_url"])).status_code == 200


async def test_a_note_of_nobody_says_what_was_merged(
    client: httpx.AsyncClient, moderator: Moderator, bug: Bug, twin: Bug
) -> None:
    await moderator.merge(twin["id"], bug["id"])
    (note,) = (await seen(client, bug["id"]))["comments"]
    assert note["user"] is None
    assert note["user_id"] is None
    assert twin["id"] in note["content"]
    assert twin["title"] in note["content"]
    assert "The same crash" not in note["content"]


async def test_both_histories_show_the_one_row_and_not_the_reason(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, bug: Bug, twin: Bug
) -> None:
    await moderator.merge(twin["id"], bug["id"])
    await moderator.unmerge(twin["id"])
    histories = [(await client.get(f"/api/v1/bugs/{one['id']}/history")) for one in (bug, twin)]
    assert histories[0].json() == histories[1].json()
    entries = histories[0].json()["history"]
    assert [one["kind"] for one in entries] == ["merge", "unmerge"]
    for entry in entries:
        assert (entry["source_bug_id"], entry["target_bug_id"]) == (twin["id"], bug["id"])
        assert entry["user"] == {"id": admin.id, "username": "root"}
        assert entry["company"] is None
    assert "The same crash" not in histories[0].text
    assert WHY["reason"] not in histories[0].text


async def test_merge_and_unmerge_leave_every_row_as_it_was(
    client: httpx.AsyncClient,
    moderator: Moderator,
    sql: Sql,
    ada: Person,
    bob: Person,
    bug: Bug,
    twin: Bug,
    platform: Platform,
) -> None:
    for person, where in ((ada, bug), (bob, bug), (bob, twin)):
        await vote(client, person, where["id"])
        await comment(client, person, where["id"], f"by {person.username}")
    await attach(client, bob, twin["id"])
    counted = ("bug_search_changes", "bug_search_era", "tag_changes")
    traces = ("audit_logs", "bug_merges", "users", "events", "event_streams", *counted)
    before = dump(sql, *traces)
    await moderator.merge(twin["id"], bug["id"])
    await moderator.unmerge(twin["id"])
    sql.execute("UPDATE bug_merges SET note_id = NULL")
    sql.execute("DELETE FROM comments WHERE user_id IS NULL AND removed_at IS NOT NULL")
    assert dump(sql, *traces) == before


async def test_what_came_later_stays_with_the_target(
    client: httpx.AsyncClient,
    moderator: Moderator,
    ada: Person,
    bob: Person,
    bug: Bug,
    twin: Bug,
    sign_up: SignUp,
    platform: Platform,
) -> None:
    cleo = await sign_up("cleo")
    await vote(client, bob, twin["id"])
    await comment(client, bob, twin["id"], "before")
    await moderator.merge(twin["id"], bug["id"])
    await vote(client, cleo, bug["id"])
    await comment(client, cleo, bug["id"], "after")
    picture = await attach(client, ada, bug["id"])
    answer = await moderator.unmerge(twin["id"])
    assert answer["target_bug_id"] == bug["id"]
    source, target = await seen(client, twin["id"]), await seen(client, bug["id"])
    assert (said(source), source["vote_count"], source["comment_count"]) == (["before"], 1, 1)
    assert (said(target), target["vote_count"], target["comment_count"]) == (["after"], 1, 1)
    assert [one["id"] for one in target["attachments"]] == [picture["id"]]
    assert await found_problems(platform) == []


async def test_a_vote_set_again_on_the_target_stays_there(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug
) -> None:
    await vote(client, bob, twin["id"])
    await moderator.merge(twin["id"], bug["id"])
    assert (await vote(client, bob, bug["id"])).status_code == 200
    await moderator.unmerge(twin["id"])
    assert (await seen(client, bug["id"]))["vote_count"] == 1
    assert (await seen(client, twin["id"]))["vote_count"] == 1


async def test_a_vote_withdrawn_on_the_target_is_back_on_the_source_alone(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug
) -> None:
    await vote(client, bob, twin["id"])
    await moderator.merge(twin["id"], bug["id"])
    assert (await withdraw_vote(client, bob, bug["id"])).json()["vote_count"] == 0
    await moderator.unmerge(twin["id"])
    assert (await seen(client, bug["id"]))["vote_count"] == 0
    assert (await seen(client, twin["id"]))["vote_count"] == 1


async def test_a_comment_withdrawn_on_the_target_stays_withdrawn(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug
) -> None:
    comment_id = await comment(client, bob, twin["id"], "never mind")
    await moderator.merge(twin["id"], bug["id"])
    response = await client.delete(f"/api/v1/comments/{comment_id}", headers=bob.headers)
    assert response.status_code == 200
    await moderator.unmerge(twin["id"])
    assert (await seen(client, twin["id"]))["comment_count"] == 0
    assert (await seen(client, bug["id"]))["comment_count"] == 0


async def test_the_middle_of_a_chain_can_be_unmerged(
    client: httpx.AsyncClient,
    moderator: Moderator,
    ada: Person,
    bob: Person,
    bug: Bug,
    twin: Bug,
    sign_up: SignUp,
    platform: Platform,
) -> None:
    last = await report_bug(client, title="The third of its kind")
    cleo = await sign_up("cleo")
    for person, where in ((ada, bug), (bob, twin), (cleo, last)):
        await vote(client, person, where["id"])
        await comment(client, person, where["id"], f"of {person.username}")
    await moderator.merge(bug["id"], twin["id"])
    await moderator.merge(twin["id"], last["id"])
    assert (await seen(client, last["id"]))["vote_count"] == 3
    await moderator.unmerge(bug["id"])
    first, root = await seen(client, bug["id"]), await seen(client, last["id"])
    assert (said(first), first["vote_count"]) == (["of ada"], 1)
    assert (said(root), root["vote_count"]) == (["of bob", "of cleo"], 2)
    assert sum(one["user_id"] is None for one in root["comments"]) == 1
    await moderator.unmerge(twin["id"])
    middle = await seen(client, twin["id"])
    assert (said(middle), middle["vote_count"], middle["comment_count"]) == (["of bob"], 1, 1)
    assert await found_problems(platform) == []


async def test_a_vote_that_two_sources_brought_leaves_with_the_last_of_them(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug, platform: Platform
) -> None:
    third = await report_bug(client, title="The third of its kind")
    for source in (twin, third):
        await vote(client, bob, source["id"])
        await moderator.merge(source["id"], bug["id"])
    counts = []
    for source in (twin, third):
        await moderator.unmerge(source["id"])
        counts.append((await seen(client, bug["id"]))["vote_count"])
    assert counts == [1, 0]
    assert await found_problems(platform) == []


async def test_impossible_merges_are_refused_and_change_nothing(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, bug: Bug, twin: Bug
) -> None:
    third = await report_bug(client, title="The third of its kind")
    removed = await report_bug(client, title="Not to be seen")
    await moderator.remove(removed["id"])
    await moderator.merge(twin["id"], bug["id"])
    before = dump(sql, "users")
    for source, target, status, code in (
        (bug["id"], bug["id"], 400, "INVALID_MERGE"),
        (twin["id"], third["id"], 400, "INVALID_MERGE"),
        (third["id"], twin["id"], 400, "INVALID_MERGE"),
        (bug["id"], twin["id"], 400, "INVALID_MERGE"),
        (NOBODY, bug["id"], 404, "SOURCE_BUG_NOT_FOUND"),
        (bug["id"], NOBODY, 404, "TARGET_BUG_NOT_FOUND"),
        (removed["id"], bug["id"], 404, "SOURCE_BUG_NOT_FOUND"),
        (bug["id"], removed["id"], 404, "TARGET_BUG_NOT_FOUND"),
    ):
        refused(await moderator.send("POST", "bugs/merge", merging(source, target)), status, code)
    refused(await moderator.send("POST", f"bugs/{bug['id']}/unmerge", WHY), 409, "NOT_MERGED")
    assert dump(sql, "users") == before


async def test_a_merge_names_its_bad_fields(moderator: Moderator) -> None:
    response = await moderator.send("POST", "bugs/merge", {"source_bug_id": "no", "reason": " "})
    assert bad_fields(response) == ["reason", "source_bug_id", "target_bug_id"]


async def test_more_pictures_than_a_bug_may_have_come_together(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, ada: Person, bug: Bug, twin: Bug
) -> None:
    for where in (bug, twin):
        sql.execute(
            "INSERT INTO attachments (id, bug_id, filename, storage_key, file_size, mime_type)"
            " SELECT gen_random_uuid(), %s, 'a.png', 'bugs/' || gen_random_uuid(), 1, 'image/png'"
            " FROM generate_series(1, 15)",
            (where["id"],),
        )
    await moderator.merge(twin["id"], bug["id"])
    assert len((await seen(client, bug["id"]))["attachments"]) == 30
    files = {"file": ("shot.png", b"", "image/png")}
    response = await client.post(f"/api/v1/bugs/{bug['id']}/attachments", files=files, headers=ada.headers)
    assert response.status_code == 400


async def test_removing_a_merged_bug_takes_its_things_off_the_target(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug, platform: Platform
) -> None:
    await comment(client, bob, twin["id"], "of the twin")
    picture = await attach(client, bob, twin["id"])
    await moderator.merge(twin["id"], bug["id"])
    await moderator.remove(twin["id"])
    target = await client.get(f"/api/v1/bugs/{bug['id']}")
    assert (target.json()["bug"]["comment_count"], target.json()["bug"]["attachments"]) == (0, [])
    assert twin["title"] not in target.text
    assert (await client.get(picture["file_url"])).status_code == 404
    await moderator.restore(twin["id"])
    restored = await seen(client, bug["id"])
    assert (said(restored), restored["comment_count"]) == (["of the twin"], 2)
    assert (await client.get(picture["file_url"])).status_code == 200
    await moderator.unmerge(twin["id"])
    assert said(await seen(client, twin["id"])) == ["of the twin"]
    assert await found_problems(platform) == []
