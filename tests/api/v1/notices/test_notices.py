"""Notices: who is notified of which events, through the event log, in the list of notices."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import Moderator
from tests.api.v1.notices.conftest import (
    ME,
    Settled,
    commented,
    notice_types,
    notices_of,
    responded,
    status_set,
)
from tests.api.v1.notices.test_subscriptions import follow, unfollow
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, report
from tests.responses import refused

Bug = dict[str, Any]
Sql = psycopg.Connection[Any]


async def test_a_notice_says_what_happened_and_can_be_marked_read(
    client: httpx.AsyncClient, worker: Platform, ada: Person, sign_up: SignUp, settled: Settled
) -> None:
    bob = await sign_up("bob")
    bug = await report(client, ada)
    comment_id = await commented(client, bob, bug["id"])
    await settled()
    answer = await notices_of(client, ada)
    (notice,) = answer["notices"]
    assert notice["event"]["id"].startswith("evt_")
    assert {name: notice["event"][name] for name in ("type", "actor", "comment_id", "to_status")} == {
        "type": "comment.created",
        "actor": {"id": bob.id, "username": "bob"},
        "comment_id": comment_id,
        "to_status": None,
    }
    assert notice["bug"] == {"id": bug["id"], "title": bug["title"], "status": "open"}
    assert (notice["ticket"], notice["read_at"], answer["unread"]) == (None, None, 1)
    await commented(client, bob, bug["id"], "And again")
    await settled()
    read = {"up_to": notice["id"]}
    response = await client.post(f"{ME}/notices/read", json=read, headers=ada.headers)
    assert response.json() == {"message": "Notices read", "unread": 1}
    answer = await notices_of(client, ada)
    assert [one["read_at"] is None for one in answer["notices"]] == [True, False]
    assert (answer["unread"], answer["pagination"]["total"]) == (1, 2)
    response = await client.post(f"{ME}/notices/read", json={"up_to": "latest"}, headers=ada.headers)
    refused(response, 400, "VALIDATION_ERROR")


async def test_nobody_is_notified_of_their_own_changes(
    client: httpx.AsyncClient, worker: Platform, ada: Person, settled: Settled
) -> None:
    bug = await report(client, ada)
    await commented(client, ada, bug["id"])
    await settled()
    assert await notice_types(client, ada) == []


async def test_each_level_is_notified_of_its_events(
    client: httpx.AsyncClient, worker: Platform, member: Person, bug: Bug, sign_up: SignUp, settled: Settled
) -> None:
    people = {level: await sign_up(level) for level in ("all", "official", "resolved", "none", "voter")}
    for level in ("all", "official", "resolved"):
        await follow(client, people[level], bug["id"], level)
    await unfollow(client, people["none"], bug["id"])
    await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=people["voter"].headers)
    await commented(client, await sign_up("somebody"), bug["id"])
    await responded(client, member, bug["id"], "We are looking into it")
    for status in ("reviewing", "fixed", "wont_fix", "open"):
        await status_set(client, member, bug["id"], status)
    await settled()
    official = ["response.created", *["status.changed"] * 4]
    assert await notice_types(client, people["all"]) == ["comment.created", *official]
    assert await notice_types(client, people["official"]) == official
    for level in ("resolved", "voter"):
        notices = (await notices_of(client, people[level]))["notices"]
        assert [one["event"]["to_status"] for one in reversed(notices)] == ["fixed", "wont_fix"]
    assert await notice_types(client, people["none"]) == []


async def test_notices_of_removed_content_disappear(
    client: httpx.AsyncClient,
    worker: Platform,
    ada: Person,
    admin: Person,
    sign_up: SignUp,
    settled: Settled,
) -> None:
    bob, moderator = await sign_up("bob"), Moderator(client, admin)
    bug, other = await report(client, ada), await report(client, ada)
    comment_id = await commented(client, bob, bug["id"])
    await commented(client, bob, bug["id"], "Something else")
    await commented(client, bob, other["id"])
    await settled()
    assert (await notices_of(client, ada))["unread"] == 3
    await client.delete(f"/api/v1/comments/{comment_id}", headers=bob.headers)
    await moderator.remove(other["id"])
    answer = await notices_of(client, ada)
    assert [one["bug"]["id"] for one in answer["notices"]] == [bug["id"]]
    assert (answer["unread"], answer["pagination"]["total"]) == (1, 1)


async def test_a_merge_is_notified_and_leads_older_notices_to_the_survivor(
    client: httpx.AsyncClient, worker: Platform, ada: Person, admin: Person, sign_up: SignUp, settled: Settled
) -> None:
    bob, cleo = await sign_up("bob"), await sign_up("cleo")
    duplicate, survivor = await report(client, ada), await report(client, bob)
    await commented(client, cleo, duplicate["id"])
    await settled()
    await Moderator(client, admin).merge(duplicate["id"], survivor["id"])
    await settled()
    for person, types in (
        (ada, ["comment.created", "bug.merged"]),
        (bob, ["bug.merged"]),
        (cleo, ["bug.merged"]),
    ):
        assert await notice_types(client, person) == types
        assert {one["bug"]["id"] for one in (await notices_of(client, person))["notices"]} == {survivor["id"]}
    await commented(client, cleo, survivor["id"])
    await settled()
    assert (await notice_types(client, ada))[-1] == "comment.created"


async def test_a_restored_comment_is_not_notified_again(
    client: httpx.AsyncClient, worker: Platform, ada: Person, admin: Person, sign_up: SignUp, settled: Settled
) -> None:
    bob, moderator = await sign_up("bob"), Moderator(client, admin)
    bug = await report(client, ada)
    comment_id = await commented(client, bob, bug["id"])
    await settled()
    await moderator.done("DELETE", f"comments/{comment_id}", {"reason": "Spam"})
    await moderator.done("POST", f"comments/{comment_id}/restore", {"reason": "Not spam"})
    await settled()
    assert await notice_types(client, ada) == ["comment.created"]


async def test_banned_and_erased_users_are_not_notified(
    client: httpx.AsyncClient, worker: Platform, sign_up: SignUp, sql: Sql, bug: Bug, settled: Settled
) -> None:
    banned, erased, bob = await sign_up("banned"), await sign_up("erased"), await sign_up("bob")
    for person in (banned, erased):
        await commented(client, person, bug["id"])
    await settled()
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (banned.id,))
    await client.request("DELETE", ME, json={"password": PASSWORD}, headers=erased.headers)
    assert sql.execute("SELECT count(*) FROM notices WHERE user_id = %s", (erased.id,)).fetchone() == (0,)
    before = sql.execute("SELECT count(*) FROM notices").fetchone()
    await commented(client, bob, bug["id"])
    await settled()
    assert sql.execute("SELECT count(*) FROM notices").fetchone() == before
