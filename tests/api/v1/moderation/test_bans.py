"""Bans: sessions end, votes stay stored and do not count, and timed bans end by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bugrelay.domain.moderation.tasks import TASKS, lift_ended_bans
from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import Moderator, Sql, dump, found_problems, seen, vote
from tests.factories import PASSWORD, Person
from tests.responses import bad_fields, refused

Bug = dict[str, Any]


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


def later(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat().replace("+00:00", "Z")


async def sign_in(client: httpx.AsyncClient, person: Person) -> httpx.Response:
    return await client.post("/api/v1/auth/login", json={"email": person.email, "password": PASSWORD})


async def test_a_banned_user_is_out_at_once(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug
) -> None:
    answer = await moderator.ban(bob.id)
    assert (answer["user_id"], answer["until"]) == (bob.id, None)
    assert (await client.get("/api/v1/auth/profile", headers=bob.headers)).status_code in (401, 403)
    assert (await vote(client, bob, bug["id"])).status_code in (401, 403)
    refused(await sign_in(client, bob), 403, "ACCOUNT_BANNED")
    response = await client.post("/api/v1/auth/refresh", json={"refresh_token": bob.refresh_token})
    assert response.status_code in (401, 403)


async def test_sessions_from_before_the_ban_do_not_come_back(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person
) -> None:
    await moderator.ban(bob.id)
    await moderator.unban(bob.id)
    refused(await client.get("/api/v1/auth/profile", headers=bob.headers), 401, "INVALID_TOKEN")
    assert (await sign_in(client, bob)).status_code == 200


async def test_votes_of_a_banned_user_do_not_count_until_unbanned(
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
    sql.execute(
        "UPDATE bug_votes SET is_recent = false WHERE user_id = %s AND bug_id = %s", (bob.id, bug["id"])
    )
    sql.execute("UPDATE bugs SET recent_vote_count = 1 WHERE id = %s", (bug["id"],))
    assert (await seen(client, bug["id"]))["vote_count"] == 2
    await moderator.ban(bob.id)
    assert [(await seen(client, one["id"]))["vote_count"] for one in (bug, twin)] == [1, 0]
    assert sql.execute("SELECT count(*) FROM bug_votes").fetchone() == (3,)
    assert await found_problems(platform) == []
    await moderator.ban(bob.id, until=later(days=1))
    assert [(await seen(client, one["id"]))["vote_count"] for one in (bug, twin)] == [1, 0]
    await moderator.unban(bob.id)
    assert [(await seen(client, one["id"]))["vote_count"] for one in (bug, twin)] == [2, 1]
    await moderator.unban(bob.id)
    assert [(await seen(client, one["id"]))["vote_count"] for one in (bug, twin)] == [2, 1]
    assert await found_problems(platform) == []


async def test_a_ban_reaches_votes_through_a_merge(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, bug: Bug, twin: Bug, platform: Platform
) -> None:
    await vote(client, bob, twin["id"])
    await moderator.merge(twin["id"], bug["id"])
    await moderator.ban(bob.id)
    assert (await seen(client, bug["id"]))["vote_count"] == 0
    await moderator.unmerge(twin["id"])
    assert (await seen(client, twin["id"]))["vote_count"] == 0
    await moderator.merge(twin["id"], bug["id"])
    await moderator.unban(bob.id)
    assert (await seen(client, bug["id"]))["vote_count"] == 1
    assert await found_problems(platform) == []


async def test_a_timed_ban_ends_by_itself(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, bob: Person, bug: Bug, platform: Platform
) -> None:
    await vote(client, bob, bug["id"])
    until = later(hours=1)
    assert (await moderator.ban(bob.id, until=until))["until"] == until
    await lift_ended_bans(platform)
    refused(await sign_in(client, bob), 403, "ACCOUNT_BANNED")
    sql.execute("UPDATE users SET banned_until = now() - interval '1 second' WHERE id = %s", (bob.id,))
    assert (await sign_in(client, bob)).status_code == 200
    await lift_ended_bans(platform)
    await lift_ended_bans(platform)
    assert (await seen(client, bug["id"]))["vote_count"] == 1
    assert sql.execute("SELECT banned_at, banned_until FROM users WHERE id = %s", (bob.id,)).fetchone() == (
        None,
        None,
    )
    (lifted,) = await moderator.logs(action="user_unban")
    assert (lifted["user"], lifted["resource_id"]) == (None, bob.id)
    assert await found_problems(platform) == []


async def test_a_vote_taken_back_between_the_end_of_a_ban_and_its_lifting_is_not_counted_out(
    client: httpx.AsyncClient,
    moderator: Moderator,
    sql: Sql,
    bob: Person,
    bug: Bug,
    twin: Bug,
    platform: Platform,
) -> None:
    for where in (bug, twin):
        await vote(client, bob, where["id"])
    await moderator.ban(bob.id, until=later(hours=1))
    sql.execute("UPDATE users SET banned_until = now() - interval '1 second' WHERE id = %s", (bob.id,))
    headers = {"Authorization": f"Bearer {(await sign_in(client, bob)).json()['access_token']}"}
    response = await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=headers)
    assert response.json() == {"message": "Vote removed successfully", "voted": False, "vote_count": 0}
    await lift_ended_bans(platform)
    assert [(await seen(client, one["id"]))["vote_count"] for one in (bug, twin)] == [0, 1]
    assert await found_problems(platform) == []


def test_bans_are_looked_at_every_minute() -> None:
    periodic = TASKS.periodic["moderation.lift_ended_bans"]
    assert (periodic.cron, periodic.task) == ("* * * * *", lift_ended_bans)


async def test_an_admin_cannot_be_banned(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, sql: Sql
) -> None:
    before = dump(sql)
    response = await moderator.send("POST", f"users/{admin.id}/ban", {"reason": "mutiny"})
    refused(response, 403, "INSUFFICIENT_PERMISSIONS")
    assert dump(sql) == before


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "tomorrow", "2999-01-01T00:00:00", 7])
async def test_a_ban_ends_in_the_future_or_never(moderator: Moderator, bob: Person, until: Any) -> None:
    response = await moderator.send("POST", f"users/{bob.id}/ban", {"reason": "spam", "until": until})
    assert bad_fields(response) == ["until"]


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]
)
async def test_an_end_outside_the_years_that_can_be_read_again_is_refused(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person, until: str
) -> None:
    response = await moderator.send("POST", f"users/{bob.id}/ban", {"reason": "spam", "until": until})
    assert bad_fields(response) == ["until"]
    assert (await client.get("/api/v1/auth/profile", headers=bob.headers)).status_code == 200


async def test_the_latest_end_can_be_read_and_undone(
    client: httpx.AsyncClient, moderator: Moderator, bob: Person
) -> None:
    banned = await moderator.ban(bob.id, until="9999-12-31T22:59:59-01:00")
    assert banned["until"] == "9999-12-31T23:59:59Z"
    refused(await sign_in(client, bob), 403, "ACCOUNT_BANNED")
    await moderator.unban(bob.id)
    assert (await sign_in(client, bob)).status_code == 200
    lifted, _ = await moderator.logs()
    assert lifted["before"]["banned_until"] == "9999-12-31T23:59:59Z"


async def test_an_empty_end_means_no_end(moderator: Moderator, bob: Person) -> None:
    assert (await moderator.ban(bob.id, until=""))["until"] is None


async def test_what_a_banned_user_wrote_stays(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bug: Bug
) -> None:
    await moderator.ban(ada.id)
    assert (await seen(client, bug["id"]))["reporter"]["username"] == "ada"
