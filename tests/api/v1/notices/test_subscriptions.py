"""Who follows what: by choice, or by what they did."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.moderation.acts import Moderator
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, put_application, put_bug, report
from tests.responses import refused

BUGS = "/api/v1/bugs"
ME = "/api/v1/users/me"
Bug = dict[str, Any]
Sql = psycopg.Connection[Any]


async def followed(client: httpx.AsyncClient, person: Person, bug_id: str) -> Any:
    response = await client.get(f"{BUGS}/{bug_id}", headers=person.headers)
    assert response.status_code == 200, response.text
    return response.json()["bug"]["subscription"]


async def follow(client: httpx.AsyncClient, person: Person, bug_id: str, level: str) -> None:
    path = f"{BUGS}/{bug_id}/subscription"
    response = await client.put(path, json={"level": level}, headers=person.headers)
    assert response.status_code == 200, response.text
    assert response.json()["subscription"] == {"level": level, "reason": "chosen"}


async def unfollow(client: httpx.AsyncClient, person: Person, bug_id: str) -> None:
    response = await client.delete(f"{BUGS}/{bug_id}/subscription", headers=person.headers)
    assert response.status_code == 200, response.text
    assert response.json()["subscription"] is None


async def comment(client: httpx.AsyncClient, person: Person, bug_id: str) -> str:
    response = await client.post(
        f"{BUGS}/{bug_id}/comments", json={"content": "Same here"}, headers=person.headers
    )
    assert response.status_code == 201, response.text
    return str(response.json()["comment"]["id"])


async def listed(client: httpx.AsyncClient, person: Person, **params: Any) -> dict[str, Any]:
    response = await client.get(f"{ME}/subscriptions", params=params, headers=person.headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_reporting_voting_and_commenting_subscribe_without_a_row(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: Sql
) -> None:
    mine = await report(client, ada)
    assert await followed(client, ada, mine["id"]) == {"level": "all", "reason": "reported"}
    assert await followed(client, ada, bug["id"]) is None
    await client.post(f"{BUGS}/{bug['id']}/vote", headers=ada.headers)
    assert await followed(client, ada, bug["id"]) == {"level": "resolved", "reason": "voted"}
    written = await comment(client, ada, bug["id"])
    assert await followed(client, ada, bug["id"]) == {"level": "all", "reason": "commented"}
    await client.delete(f"/api/v1/comments/{written}", headers=ada.headers)
    await client.delete(f"{BUGS}/{bug['id']}/vote", headers=ada.headers)
    assert await followed(client, ada, bug["id"]) is None
    assert sql.execute("SELECT count(*) FROM bug_subscriptions").fetchone() == (0,)


async def test_an_explicit_level_takes_precedence(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    for level in ("all", "official", "resolved"):
        await follow(client, ada, bug["id"], level)
        assert await followed(client, ada, bug["id"]) == {"level": level, "reason": "chosen"}
    await unfollow(client, ada, bug["id"])
    await comment(client, ada, bug["id"])
    assert await followed(client, ada, bug["id"]) is None
    await unfollow(client, ada, bug["id"])  # once more, without harm
    await follow(client, ada, bug["id"], "official")
    assert await followed(client, ada, bug["id"]) == {"level": "official", "reason": "chosen"}


async def test_the_anonymous_are_shown_no_subscription(client: httpx.AsyncClient, bug: Bug) -> None:
    assert "subscription" not in (await client.get(f"{BUGS}/{bug['id']}")).json()["bug"]


@pytest.mark.parametrize("body", [{}, {"level": "none"}, {"level": None}, {"level": ["all"]}])
async def test_an_unknown_level_is_refused(
    client: httpx.AsyncClient, ada: Person, bug: Bug, body: Any
) -> None:
    response = await client.put(f"{BUGS}/{bug['id']}/subscription", json=body, headers=ada.headers)
    assert refused(response, 400, "VALIDATION_ERROR")["fields"][0]["field"] == "level"


async def test_the_default_level_is_the_highest_of_all_acts(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    mine = await report(client, ada)
    await client.post(f"{BUGS}/{bug['id']}/vote", headers=ada.headers)
    settings = f"{ME}/notice-settings"
    response = await client.get(settings, headers=ada.headers)
    assert response.json() == {"notice_settings": {"mail": "each", "default_level": "all"}}
    for level in ("official", "resolved"):
        response = await client.patch(settings, json={"default_level": level}, headers=ada.headers)
        assert response.json()["notice_settings"] == {"mail": "each", "default_level": level}
        assert await followed(client, ada, mine["id"]) == {"level": level, "reason": "reported"}
        assert await followed(client, ada, bug["id"]) == {"level": "resolved", "reason": "voted"}
    await follow(client, ada, mine["id"], "all")
    assert await followed(client, ada, mine["id"]) == {"level": "all", "reason": "chosen"}
    response = await client.patch(settings, json={"mail": "digest"}, headers=ada.headers)
    assert response.json()["notice_settings"] == {"mail": "digest", "default_level": "resolved"}
    response = await client.patch(settings, json={}, headers=ada.headers)
    assert response.json()["notice_settings"] == {"mail": "digest", "default_level": "resolved"}
    response = await client.patch(settings, json={"mail": "hourly"}, headers=ada.headers)
    assert refused(response, 400, "VALIDATION_ERROR")["fields"][0]["field"] == "mail"


async def test_a_merge_leads_followers_to_the_survivor(
    client: httpx.AsyncClient, ada: Person, admin: Person, bug: Bug, sign_up: SignUp
) -> None:
    bob, cleo = await sign_up("bob"), await sign_up("cleo")
    mine = await report(client, ada)
    await follow(client, bob, mine["id"], "official")
    await comment(client, cleo, mine["id"])
    await unfollow(client, cleo, mine["id"])
    await Moderator(client, admin).merge(mine["id"], bug["id"])
    assert await followed(client, ada, bug["id"]) == {"level": "all", "reason": "reported"}
    assert await followed(client, bob, bug["id"]) == {"level": "official", "reason": "chosen"}
    assert await followed(client, cleo, bug["id"]) is None
    await follow(client, bob, bug["id"], "resolved")
    assert await followed(client, bob, bug["id"]) == {"level": "resolved", "reason": "chosen"}
    for person, level in ((ada, "all"), (bob, "resolved")):
        (found,) = (await listed(client, person))["subscriptions"]
        assert (found["bug"]["id"], found["level"]) == (bug["id"], level)
    assert (await listed(client, cleo))["pagination"]["total"] == 0
    response = await client.put(
        f"{BUGS}/{mine['id']}/subscription", json={"level": "all"}, headers=bob.headers
    )
    assert response.status_code == 308
    assert response.headers["location"] == f"{BUGS}/{bug['id']}/subscription"


async def test_the_list_has_what_is_followed_and_may_be_seen(
    client: httpx.AsyncClient, ada: Person, admin: Person, bug: Bug
) -> None:
    mine, removed, muted = [await report(client, ada) for _ in range(3)]
    await client.post(f"{BUGS}/{bug['id']}/vote", headers=ada.headers)
    await unfollow(client, ada, muted["id"])
    await Moderator(client, admin).remove(removed["id"])
    answer = await listed(client, ada)
    assert answer["subscriptions"] == [
        {"level": "all", "reason": "reported", "bug": _ref(mine)},
        {"level": "resolved", "reason": "voted", "bug": _ref(bug)},
    ]
    assert answer["pagination"]["total"] == 2
    second = await listed(client, ada, limit=1, page=2)
    assert [one["bug"]["id"] for one in second["subscriptions"]] == [bug["id"]]
    assert second["pagination"]["total"] == 2


def _ref(bug: Bug) -> dict[str, Any]:
    return {name: bug[name] for name in ("id", "title", "status")}


async def test_nobody_follows_what_is_removed(
    client: httpx.AsyncClient, ada: Person, bug: Bug, admin: Person
) -> None:
    await Moderator(client, admin).remove(bug["id"])
    for method in ("PUT", "DELETE"):
        response = await client.request(
            method, f"{BUGS}/{bug['id']}/subscription", json={"level": "all"}, headers=ada.headers
        )
        refused(response, 404, "BUG_NOT_FOUND")


async def test_the_list_and_the_details_say_the_same(
    client: httpx.AsyncClient, ada: Person, sql: Sql, admin: Person
) -> None:
    """The rule stands in a function of the database, and which of them are muted in the list's own statement."""
    application = put_application(sql)
    bugs = [put_bug(sql, application) for _ in range(12)]
    for number, bug_id in enumerate(bugs):
        if number % 2:
            await client.post(f"{BUGS}/{bug_id}/vote", headers=ada.headers)
        if number % 3 == 0:
            await comment(client, ada, bug_id)
        if number % 4 == 0:
            await unfollow(client, ada, bug_id)
        if number % 5 == 0:
            await follow(client, ada, bug_id, "official")
    for source, target in ((0, 1), (4, 5), (5, 6), (8, 6), (9, 10)):
        await Moderator(client, admin).merge(bugs[source], bugs[target])
    await Moderator(client, admin).remove(bugs[11])
    details = {}
    for bug_id in (bugs[i] for i in (1, 2, 3, 6, 7, 10)):
        if found := await followed(client, ada, bug_id):
            details[bug_id] = found
    shown = (await listed(client, ada))["subscriptions"]
    assert {one["bug"]["id"]: {"level": one["level"], "reason": one["reason"]} for one in shown} == details


async def test_a_banned_user_changes_nothing(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: Sql
) -> None:
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (ada.id,))
    response = await client.put(
        f"{BUGS}/{bug['id']}/subscription", json={"level": "all"}, headers=ada.headers
    )
    refused(response, 403, "ACCOUNT_BANNED")


async def test_erasure_deletes_all_subscriptions(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: Sql
) -> None:
    await follow(client, ada, bug["id"], "all")
    await client.patch(f"{ME}/notice-settings", json={"mail": "none"}, headers=ada.headers)
    export = (await client.get(f"{ME}/export", headers=ada.headers)).json()
    assert export["bug_subscriptions"][0]["level"] == "all"
    assert export["notice_settings"][0]["mail"] == "none"
    response = await client.request("DELETE", ME, json={"password": PASSWORD}, headers=ada.headers)
    assert response.status_code == 200, response.text
    for table in ("bug_subscriptions", "notice_settings"):
        assert sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
