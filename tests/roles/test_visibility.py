"""What is removed, merged away or withdrawn: who meets it where, of everything that can be read, and that none counts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar import Litestar

from tests.roles.crawl import crawl
from tests.roles.table import ROLES
from tests.roles.world import World

EXPORT = "/api/v1/users/me/export"
# Where a word may be met, by role; every other role meets it nowhere. An export holds all that its owner wrote.
MET: dict[str, dict[str, set[str]]] = {
    "hiddenremoved": {
        "reporter": {EXPORT},
        "admin": {"/api/v1/bugs/{id}", "/api/v1/bugs/{id}/comments", "/api/v1/admin/bugs"},
    },
    "hiddenmerged": {"reporter": {EXPORT}, "admin": {"/api/v1/admin/bugs"}},
    "hiddenwithdrawn": {"reporter": {EXPORT}},
    "hiddenmoderated": {"reporter": {EXPORT}},
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


@pytest.fixture
def hidden(world: World) -> World:
    """A word of its own in everything that is hidden, written so that triggers see it; and in what hangs on it."""
    for word, bug in (("hiddenremoved", "removed bug"), ("hiddenmerged", "merged bug")):
        bug_id = world.ids[bug]
        world.sql.execute("UPDATE bugs SET title = %s, tags = %s WHERE id = %s", (word, [word], bug_id))
        world.sql.execute(
            "UPDATE bug_texts SET description = %s, description_html = %s WHERE bug_id = %s",
            (word, word, bug_id),
        )
        _comment(world, bug_id, word)
    _comment(world, world.ids["bug"], "hiddenwithdrawn", removed=True)
    world.sql.execute(
        "UPDATE comments SET content = 'hiddenmoderated', content_html = 'hiddenmoderated' WHERE id = %s",
        (world.ids["removed comment"],),
    )
    return world


def _comment(world: World, bug_id: str, word: str, *, removed: bool = False) -> None:
    world.sql.execute(
        "INSERT INTO comments (id, bug_id, user_id, content, content_html, removed_at)"
        " VALUES (gen_random_uuid(), %s, %s, %s, %s, CASE WHEN %s THEN now() END)",
        (bug_id, world.people["reporter"].id, word, word, removed),
    )


@pytest.mark.parametrize("role", ROLES)
async def test_hidden_words_are_met_only_where_they_may_be(
    hidden: World, roles_app: Litestar, role: str
) -> None:
    met: dict[str, set[str]] = {}
    async for response in crawl(hidden, roles_app, role):
        for word in MET:
            if word in response.text:
                met.setdefault(word, set()).add(_ID.sub("{id}", response.request.url.path))
    assert met == {word: roles[role] for word, roles in MET.items() if role in roles}


@pytest.mark.parametrize("role", ROLES)
async def test_no_search_finds_what_is_hidden(hidden: World, role: str) -> None:
    """Words of a merged bug find the bug that it was merged into, which does not show them."""
    if role == "banned user":
        return
    for path, field in (("bugs", "search"), ("bugs", "tags"), ("tags", "search")):
        for word in MET:
            response = await hidden.client.get(
                f"/api/v1/{path}", params={field: word}, headers=hidden.headers(role)
            )
            if (word, field, path) == ("hiddenmerged", "search", "bugs"):
                assert [bug["id"] for bug in response.json()["bugs"]] == [hidden.ids["other bug"]]
            else:
                assert response.json()["pagination"]["total"] == 0, (path, field, word)


@pytest.mark.parametrize("role", ROLES)
async def test_the_file_of_a_removed_bug_is_served_to_nobody(hidden: World, role: str) -> None:
    response = await hidden.client.get(
        f"/uploads/bugs/{hidden.ids['removed file']}", headers=hidden.headers(role)
    )
    assert response.status_code == (403 if role == "banned user" else 404)


@pytest.mark.parametrize("role", ["anonymous", "user", "reporter", "company admin", "admin"])
async def test_what_is_hidden_is_counted_nowhere(hidden: World, role: str) -> None:
    async def get(path: str) -> dict[str, Any]:
        response = await hidden.client.get(f"/api/v1/{path}", headers=hidden.headers(role))
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    reporter, company = hidden.people["reporter"].id, hidden.ids["company"]
    listed = (await get("bugs?limit=100"))["bugs"]
    assert {hidden.ids["bug"], hidden.ids["other bug"]} <= {bug["id"] for bug in listed}
    assert (await get("bugs"))["pagination"]["total"] == len(listed)
    theirs = [bug for bug in listed if bug["reporter_id"] == reporter]
    profile = (await get(f"users/{reporter}"))["user"]
    assert (profile["bug_count"], profile["comment_count"]) == (len(theirs), 1)
    stats = (await get(f"companies/{company}"))["company"]["bug_stats"]
    assert stats["total"] == len([bug for bug in listed if bug["assigned_company_id"] == company])
    comments = await get(f"bugs/{hidden.ids['bug']}/comments")
    assert comments["pagination"]["total"] == len(comments["comments"]) == 1
    assert (await get(f"bugs/{hidden.ids['bug']}"))["bug"]["comment_count"] == 1
