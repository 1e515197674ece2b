"""Moderation while people use the board: nothing is lost, nothing counts twice, nobody gets a server error.

Real connections side by side; one violation fails.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.bugs.tasks import age_votes
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.v1.moderation.acts import WHY, Moderator, Sql, comment, found_problems, merging, vote
from tests.factories import Person, make_admin, register
from tests.factories import report as report_bug

VOTERS = 30


@pytest.fixture
async def voters(client: httpx.AsyncClient) -> list[Person]:
    return [await register(client, f"voter{i}") for i in range(VOTERS)]


@pytest.fixture
async def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def both(client: httpx.AsyncClient) -> tuple[str, str]:
    return (await report_bug(client))["id"], (await report_bug(client))["id"]


def voters_of(sql: Sql, bug_id: str) -> set[str]:
    return {str(row[0]) for row in sql.execute("SELECT user_id FROM bug_votes WHERE bug_id = %s", (bug_id,))}


async def vote_on_either(client: httpx.AsyncClient, person: Person, place: int, bugs: tuple[str, str]) -> int:
    """A third votes for the source, a third for the target, a third for both at once; the worst status counts."""
    wanted = (bugs[:1], bugs[1:], bugs)[place % 3]
    responses = await asyncio.gather(*(vote(client, person, bug_id) for bug_id in wanted))
    for response in responses:
        if response.status_code == 308:
            again = await client.put(response.headers["location"], headers=person.headers)
            assert again.status_code in (200, 201), again.text
    return max(response.status_code for response in responses)


async def test_merging_while_thirty_people_vote_loses_and_doubles_nothing(
    client: httpx.AsyncClient,
    moderator: Moderator,
    voters: list[Person],
    sql: Sql,
    platform: Platform,
    rounds: int,
) -> None:
    everybody = {person.id for person in voters}
    for _ in range(rounds):
        source, target = await both(client)
        merged, *statuses = await asyncio.gather(
            moderator.send("POST", "bugs/merge", merging(source, target)),
            *(vote_on_either(client, person, i, (source, target)) for i, person in enumerate(voters)),
        )
        assert merged.status_code == 200, merged.text
        assert set(statuses) <= {200, 201, 308}
        assert voters_of(sql, target) == everybody
        shown = (await client.get(f"/api/v1/bugs/{target}")).json()["bug"]
        assert shown["vote_count"] == VOTERS
    assert await found_problems(platform, files=False) == []


async def test_unmerging_while_people_vote_and_comment_keeps_every_counter_true(
    client: httpx.AsyncClient, moderator: Moderator, voters: list[Person], platform: Platform, rounds: int
) -> None:
    people = voters[:8]
    for _ in range(rounds):
        source, target = await both(client)
        written = [await comment(client, person, source, "to be withdrawn") for person in people]
        await moderator.merge(source, target)
        responses = await asyncio.gather(
            moderator.send("POST", f"bugs/{source}/unmerge", WHY),
            *(client.post(f"/api/v1/bugs/{target}/vote", headers=person.headers) for person in people),
            *(
                client.delete(f"/api/v1/comments/{comment_id}", headers=person.headers)
                for person, comment_id in zip(people, written, strict=True)
            ),
            *(moderator.send("DELETE", f"comments/{comment_id}", WHY) for comment_id in written[:2]),
        )
        statuses = [response.status_code for response in responses]
        assert statuses[0] == 200
        assert set(statuses) <= {200, 201, 404, 409}, statuses
        assert (await client.get(f"/api/v1/bugs/{source}")).json()["bug"]["comment_count"] == 0
    assert await found_problems(platform, files=False) == []


async def test_merging_crosswise_merges_once(
    client: httpx.AsyncClient, admin: Person, sql: Sql, voters: list[Person], rounds: int
) -> None:
    make_admin(sql, voters[0])
    admins = [Moderator(client, admin), Moderator(client, voters[0])]
    for _ in range(rounds):
        one, other = await both(client)
        responses = await asyncio.gather(
            admins[0].send("POST", "bugs/merge", merging(one, other)),
            admins[1].send("POST", "bugs/merge", merging(other, one)),
        )
        assert sorted(response.status_code for response in responses) == [200, 400]


async def test_a_ban_leaves_no_vote_that_counts(
    client: httpx.AsyncClient,
    moderator: Moderator,
    voters: list[Person],
    sql: Sql,
    platform: Platform,
    rounds: int,
) -> None:
    bugs = [(await report_bug(client, voters[0]))["id"] for _ in range(8)]
    for banned in voters[:rounds]:
        ban, *votes = await asyncio.gather(
            moderator.send("POST", f"users/{banned.id}/ban", WHY),
            *(vote(client, banned, bug) for bug in bugs),
        )
        assert ban.status_code == 200
        assert {response.status_code for response in votes} <= {201, 401, 403}
        counted = sql.execute(
            "SELECT count(*) FROM bug_votes WHERE user_id = %s AND counted", (banned.id,)
        ).fetchone()
        assert counted == (0,)
    assert await found_problems(platform, files=False) == []


async def test_bans_merges_and_removals_at_once_are_all_carried_out(
    client: httpx.AsyncClient, moderator: Moderator, voters: list[Person], platform: Platform, rounds: int
) -> None:
    for banned in voters[:rounds]:
        source, target = await both(client)
        for bug_id in (source, target):
            await vote(client, banned, bug_id)
        responses = await asyncio.gather(
            moderator.send("POST", "bugs/merge", merging(source, target)),
            moderator.send("POST", f"users/{banned.id}/ban", WHY),
            moderator.send("DELETE", f"bugs/{target}", WHY),
            *(vote(client, person, target) for person in voters[-5:]),
        )
        # A merge into a bug that is removed just before is refused.
        assert {response.status_code for response in responses[:3]} <= {200, 404}
        assert {response.status_code for response in responses[3:]} <= {201, 404}
    assert await found_problems(platform, files=False) == []


async def test_one_person_reports_a_thing_once_however_often_they_press(
    client: httpx.AsyncClient, voters: list[Person], sql: Sql, rounds: int
) -> None:
    body: dict[str, Any] = {"reason": "spam"}
    for person in voters[:rounds]:
        bug_id = (await report_bug(client))["id"]
        responses = await asyncio.gather(
            *(client.post(f"/api/v1/bugs/{bug_id}/flag", json=body, headers=person.headers) for _ in range(5))
        )
        assert sorted(response.status_code for response in responses) == [201, 409, 409, 409, 409]


async def test_a_removed_bug_is_shown_to_nobody_after_the_response(
    client: httpx.AsyncClient, moderator: Moderator, rounds: int
) -> None:
    """Readers fill the cache all the while."""
    for _ in range(rounds):
        bug_id = (await report_bug(client, title="Soon to be gone"))["id"]
        reading = asyncio.create_task(keep_reading(client, bug_id))
        await asyncio.sleep(0.01)
        await moderator.remove(bug_id)
        assert (await client.get(f"/api/v1/bugs/{bug_id}")).status_code == 404
        listed = (await client.get("/api/v1/bugs")).json()["bugs"]
        assert bug_id not in [bug["id"] for bug in listed]
        reading.cancel()


async def keep_reading(client: httpx.AsyncClient, bug_id: str) -> None:
    while True:
        await asyncio.gather(client.get(f"/api/v1/bugs/{bug_id}"), client.get("/api/v1/bugs"))


async def test_ageing_votes_takes_bugs_before_votes_as_everybody_does(
    client: httpx.AsyncClient, ada: Person, sql: Sql, settings: Settings, platform: Platform
) -> None:
    """A transaction that holds a bug can always lock its votes: so the two never wait for each other."""
    bug_id = (await report_bug(client))["id"]
    await vote(client, ada, bug_id)
    sql.execute("ALTER TABLE bug_votes DISABLE TRIGGER vote_dated")
    sql.execute("UPDATE bug_votes SET created_at = now() - interval '31 days'")
    sql.execute("ALTER TABLE bug_votes ENABLE TRIGGER vote_dated")
    async with await psycopg.AsyncConnection.connect(settings.database_url) as holding:
        await holding.execute("SELECT id FROM bugs WHERE id = %s FOR UPDATE", (bug_id,))
        ageing = asyncio.create_task(age_votes(platform))
        while sql.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert not ageing.done(), ageing
            await asyncio.sleep(0.01)
        await holding.execute("SET LOCAL lock_timeout = '100ms'")
        await holding.execute("SELECT user_id FROM bug_votes WHERE bug_id = %s FOR UPDATE", (bug_id,))
    await ageing
    row = sql.execute("SELECT vote_count, recent_vote_count FROM bugs WHERE id = %s", (bug_id,)).fetchone()
    assert row == (1, 0)
