"""Removing bugs and comments from every public view, and bringing them back."""

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
    said,
    seen,
    vote,
)
from tests.factories import Person
from tests.responses import bad_fields, refused

Bug = dict[str, Any]
NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def test_a_removed_bug_is_gone_from_every_public_view(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug
) -> None:
    picture = await attach(client, ada, bug["id"])
    comment_id = await comment(client, bob, bug["id"], "I see it too")
    await vote(client, bob, bug["id"])
    views = [
        f"/api/v1/bugs/{bug['id']}",
        f"/api/v1/bugs/{bug['id']}/comments",
        f"/api/v1/bugs/{bug['id']}/history",
        picture["file_url"],
    ]
    for view in views:
        assert (await client.get(view)).status_code == 200
    answer = await moderator.remove(bug["id"])
    assert answer == {"message": "Bug removed successfully", "bug_id": bug["id"], **WHY}
    for headers in ({}, ada.headers, bob.headers):
        for view in views:
            assert (await client.get(view, headers=headers)).status_code == 404
        for query in ("", "?search=crash", "?tags=drafts", f"?reporter_id={ada.id}", "?sort=popular"):
            assert (await client.get(f"/api/v1/bugs{query}", headers=headers)).json()["bugs"] == []
        assert (await client.get("/api/v1/tags", headers=headers)).json()["tags"] == []
    profile = (await client.get(f"/api/v1/users/{bob.id}")).json()["user"]
    assert (profile["vote_count"], profile["comment_count"]) == (0, 0)
    for method, path in (
        ("PUT", f"bugs/{bug['id']}/vote"),
        ("POST", f"bugs/{bug['id']}/comments"),
        ("POST", f"bugs/{bug['id']}/flag"),
        ("POST", f"comments/{comment_id}/flag"),
        ("DELETE", f"comments/{comment_id}"),
    ):
        response = await client.request(method, f"/api/v1/{path}", json={"content": "x"}, headers=bob.headers)
        assert response.status_code == 404, path


async def test_admins_still_see_a_removed_bug(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, bug: Bug
) -> None:
    await moderator.remove(bug["id"])
    assert (await client.get(f"/api/v1/bugs/{bug['id']}", headers=admin.headers)).status_code == 200


async def test_a_restored_bug_is_as_it_was(
    client: httpx.AsyncClient,
    moderator: Moderator,
    sql: Sql,
    ada: Person,
    bob: Person,
    bug: Bug,
    platform: Platform,
) -> None:
    await attach(client, ada, bug["id"])
    await comment(client, bob, bug["id"], "I see it too")
    await vote(client, bob, bug["id"])
    counted = ("bug_search_changes", "bug_search_era", "tag_changes")
    traces = ("audit_logs", "users", "events", "event_streams", *counted)
    before = dump(sql, *traces)
    await moderator.remove(bug["id"])
    answer = await moderator.restore(bug["id"])
    assert answer == {"message": "Bug restored successfully", "bug_id": bug["id"]}
    assert dump(sql, *traces) == before
    assert (await client.get("/api/v1/bugs?search=crash")).json()["pagination"]["total"] == 1
    assert await found_problems(platform) == []


async def test_removing_twice_and_restoring_what_is_there_are_conflicts(
    moderator: Moderator, bug: Bug, sql: Sql
) -> None:
    refused(await moderator.send("POST", f"bugs/{bug['id']}/restore"), 409, "BUG_NOT_DELETED")
    await moderator.remove(bug["id"])
    before = dump(sql, "users")
    refused(await moderator.send("DELETE", f"bugs/{bug['id']}", WHY), 409, "ALREADY_REMOVED")
    assert dump(sql, "users") == before


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}, {"reason": 7}])
async def test_a_reason_of_1_to_500_characters_is_asked_for(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, body: dict[str, Any]
) -> None:
    comment_id = await comment(client, bob, bug["id"], "hello")
    for method, path in (
        ("DELETE", f"bugs/{bug['id']}"),
        ("POST", f"bugs/{bug['id']}/flag"),
        ("POST", f"bugs/{bug['id']}/unmerge"),
        ("DELETE", f"comments/{comment_id}"),
        ("POST", f"comments/{comment_id}/restore"),
        ("POST", f"users/{bob.id}/ban"),
        ("POST", f"users/{bob.id}/unban"),
    ):
        assert bad_fields(await moderator.send(method, path, body)) == ["reason"]


async def test_what_is_not_there_is_not_found(moderator: Moderator) -> None:
    for method, path, code in (
        ("DELETE", f"bugs/{NOBODY}", "BUG_NOT_FOUND"),
        ("POST", f"bugs/{NOBODY}/restore", "BUG_NOT_FOUND"),
        ("POST", f"bugs/{NOBODY}/flag", "BUG_NOT_FOUND"),
        ("POST", f"bugs/{NOBODY}/unmerge", "BUG_NOT_FOUND"),
        ("DELETE", f"comments/{NOBODY}", "COMMENT_NOT_FOUND"),
        ("POST", f"comments/{NOBODY}/restore", "COMMENT_NOT_FOUND"),
        ("POST", f"users/{NOBODY}/ban", "USER_NOT_FOUND"),
        ("POST", f"users/{NOBODY}/unban", "USER_NOT_FOUND"),
        ("POST", f"companies/{NOBODY}/verify", "COMPANY_NOT_FOUND"),
        ("POST", f"companies/{NOBODY}/unverify", "COMPANY_NOT_FOUND"),
        ("PATCH", f"applications/{NOBODY}", "APPLICATION_NOT_FOUND"),
    ):
        refused(await moderator.send(method, path, WHY), 404, code)
        refused(await moderator.send(method, path.replace(NOBODY, "7"), WHY), 400, "INVALID_ID")


async def test_a_removed_comment_leaves_the_count_and_comes_back(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug
) -> None:
    comment_id = await comment(client, bob, bug["id"], "rude words")
    await seen(client, bug["id"])
    await moderator.done("DELETE", f"comments/{comment_id}", WHY)
    hidden = await seen(client, bug["id"])
    assert (said(hidden), hidden["comment_count"]) == ([], 0)
    refused(await moderator.send("DELETE", f"comments/{comment_id}", WHY), 409, "ALREADY_REMOVED")
    for method in ("PATCH", "DELETE"):
        response = await client.request(
            method, f"/api/v1/comments/{comment_id}", json={"content": "rude again"}, headers=bob.headers
        )
        assert response.status_code == 404
    await moderator.done("POST", f"comments/{comment_id}/restore", WHY)
    shown = await seen(client, bug["id"])
    assert (said(shown), shown["comment_count"]) == (["rude words"], 1)
    refused(await moderator.send("POST", f"comments/{comment_id}/restore", WHY), 409, "COMMENT_NOT_DELETED")


async def test_what_its_author_withdrew_no_admin_brings_back(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug
) -> None:
    comment_id = await comment(client, bob, bug["id"], "never mind")
    await client.delete(f"/api/v1/comments/{comment_id}", headers=bob.headers)
    refused(await moderator.send("POST", f"comments/{comment_id}/restore", WHY), 409, "COMMENT_NOT_DELETED")
    refused(await moderator.send("DELETE", f"comments/{comment_id}", WHY), 409, "ALREADY_REMOVED")
    assert (await seen(client, bug["id"]))["comment_count"] == 0


async def test_reasons_and_addresses_are_for_admins_alone(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    """Secrets are planted everywhere an admin or a reporter can put them, then looked for in all that others see."""
    canary = "canary-7f3a"
    note = {"reason": "other", "note": f"{canary}-note"}
    secret = {"reason": f"{canary}-reason"}
    first, second = [await comment(client, bob, bug["id"], text) for text in ("one", "two")]
    await client.post(f"/api/v1/bugs/{bug['id']}/flag", json=note, headers=bob.headers)
    await client.post(f"/api/v1/comments/{first}/flag", json=note, headers=ada.headers)
    await moderator.done("POST", f"bugs/{bug['id']}/flag", secret)
    await moderator.done("DELETE", f"comments/{second}", secret)
    await moderator.done("POST", f"comments/{second}/restore", secret)
    await moderator.done("DELETE", f"bugs/{bug['id']}", secret)
    await moderator.restore(bug["id"])
    await moderator.done(
        "POST", "bugs/merge", {"source_bug_id": twin["id"], "target_bug_id": bug["id"], **secret}
    )
    await moderator.done("POST", f"bugs/{twin['id']}/unmerge", secret)
    for headers in ({}, bob.headers):
        for path in (
            "bugs",
            f"bugs/{bug['id']}",
            f"bugs/{bug['id']}/comments",
            f"bugs/{bug['id']}/history",
            f"bugs/{twin['id']}",
            f"bugs/{twin['id']}/history",
            f"users/{ada.id}",
            "tags",
        ):
            response = await client.get(f"/api/v1/{path}", headers=headers)
            assert response.status_code == 200, path
            for planted in (canary, "ada.private", "removed_reason", "flag_count"):
                assert planted not in response.text, (path, planted)
