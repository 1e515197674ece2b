"""`/bugs/{id}/vote`."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from tests.conftest import SignUp, StartApp
from tests.factories import Person, merge_into, put_application, put_bug, register, remove, report
from tests.pace import undisturbed
from tests.responses import refused

Bug = dict[str, Any]
ADDED = "Vote added successfully"
REMOVED = "Vote removed successfully"


def vote_of(bug: Bug) -> str:
    return f"/api/v1/bugs/{bug['id']}/vote"


async def test_a_second_vote_removes_the_first(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    for status, message, voted, count in (
        (201, ADDED, True, 1),
        (200, REMOVED, False, 0),
        (201, ADDED, True, 1),
    ):
        response = await client.post(vote_of(bug), headers=ada.headers)
        assert response.status_code == status
        assert response.json() == {"message": message, "voted": voted, "vote_count": count}


async def test_setting_and_withdrawing_are_safe_to_repeat(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    for method, status, message, voted, count in (
        ("DELETE", 200, REMOVED, False, 0),
        ("PUT", 201, ADDED, True, 1),
        ("PUT", 200, ADDED, True, 1),
        ("DELETE", 200, REMOVED, False, 0),
        ("DELETE", 200, REMOVED, False, 0),
    ):
        response = await client.request(method, vote_of(bug), headers=ada.headers)
        assert response.status_code == status
        assert response.json() == {"message": message, "voted": voted, "vote_count": count}


async def test_each_user_has_one_vote(client: httpx.AsyncClient, sign_up: SignUp, bug: Bug) -> None:
    for count, name in enumerate(("one", "two", "three"), start=1):
        person = await sign_up(name)
        assert (await client.post(vote_of(bug), headers=person.headers)).json()["vote_count"] == count


async def test_the_anonymous_cannot_vote(client: httpx.AsyncClient, bug: Bug) -> None:
    for method in ("POST", "PUT", "DELETE"):
        response = await client.request(method, vote_of(bug))
        refused(response, 401, "AUTH_REQUIRED")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_votes_at_once_count_as_rows(
    client: httpx.AsyncClient, sign_up: SignUp, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    people = [await sign_up(f"voter{i}") for i in range(10)]
    sent = [client.post(vote_of(bug), headers=people[0].headers) for _ in range(15)]
    sent += [client.put(vote_of(bug), headers=person.headers) for person in people[1:] for _ in range(3)]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} <= {200, 201}
    rows = sql.execute("SELECT count(*) FROM bug_votes").fetchone()
    counted = sql.execute("SELECT vote_count FROM bugs").fetchone()
    assert rows == counted
    assert rows == (10,)  # fifteen toggles end with the vote


async def test_a_vote_leaves_the_rest_of_the_bug_alone(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    await client.post(vote_of(bug), headers=ada.headers)
    after = (await client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]
    assert {**bug, "vote_count": 1} == {name: after[name] for name in bug}


async def test_votes_of_one_batch_get_each_their_own_response(
    client: httpx.AsyncClient, sign_up: SignUp, database_url: str, sql: psycopg.Connection[Any]
) -> None:
    async def vote_in_this_order() -> None:
        bug = await report(client)
        ada, bob, eve = [await sign_up(f"{name}{uuid4().hex[:8]}") for name in ("ada", "bob", "eve")]
        wanted = [("POST", ada), ("PUT", bob), ("POST", ada), ("PUT", eve), ("DELETE", bob), ("PUT", ada)]
        with psycopg.connect(database_url) as holding:
            holding.execute("SELECT 1 FROM bugs WHERE id = %s FOR UPDATE", (bug["id"],))
            votes = []
            for method, person in wanted:
                voting = client.request(method, vote_of(bug), headers=person.headers)
                votes.append(asyncio.create_task(voting))
                await asyncio.sleep(0.1)
            sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (eve.id,))
        answers = await asyncio.gather(*votes)
        assert [(answer.status_code, answer.json().get("vote_count")) for answer in answers] == [
            (201, 1),
            (201, 2),
            (200, 1),
            (403, None),
            (200, 0),
            (201, 1),
        ]
        assert answers[3].json()["error"]["code"] == "ACCOUNT_BANNED"
        counted = sql.execute("SELECT vote_count FROM bugs WHERE id = %s", (bug["id"],))
        assert counted.fetchone() == (1,)
        voters = sql.execute("SELECT user_id::text FROM bug_votes WHERE bug_id = %s", (bug["id"],))
        assert voters.fetchall() == [(ada.id,)]

    await undisturbed(vote_in_this_order, seconds=1.2)


async def test_votes_that_waited_for_a_removal_are_404(
    client: httpx.AsyncClient, sign_up: SignUp, bug: Bug, database_url: str, sql: psycopg.Connection[Any]
) -> None:
    people = [await sign_up(name) for name in ("ada", "bob", "eve")]
    with psycopg.connect(database_url) as holding:
        holding.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bug["id"],))
        votes = []
        for person in people:
            votes.append(asyncio.create_task(client.put(vote_of(bug), headers=person.headers)))
            await asyncio.sleep(0.1)
    for answer in await asyncio.gather(*votes):
        refused(answer, 404, "BUG_NOT_FOUND")
    assert sql.execute("SELECT count(*) FROM bug_votes").fetchone() == (0,)


async def test_a_vote_whose_users_row_is_locked_is_retried_alone(
    client: httpx.AsyncClient, sign_up: SignUp, database_url: str, sql: psycopg.Connection[Any]
) -> None:
    async def vote_in_this_order() -> None:
        bug = await report(client)
        ada, bob, eve = [await sign_up(f"{name}{uuid4().hex[:8]}") for name in ("ada", "bob", "eve")]
        with psycopg.connect(database_url) as holding, psycopg.connect(database_url) as keeping:
            keeping.execute("SELECT 1 FROM users WHERE id = %s FOR UPDATE", (bob.id,))
            holding.execute("SELECT 1 FROM bugs WHERE id = %s FOR UPDATE", (bug["id"],))
            votes = []
            for person in (ada, bob, eve):
                votes.append(asyncio.create_task(client.put(vote_of(bug), headers=person.headers)))
                await asyncio.sleep(0.1)
            holding.rollback()
            await asyncio.sleep(0.3)
            counted = sql.execute("SELECT vote_count FROM bugs WHERE id = %s", (bug["id"],)).fetchone()
        answers = await asyncio.gather(*votes)
        assert counted == (2,)
        assert [(answer.status_code, answer.json()["vote_count"]) for answer in answers] == [
            (201, 1),
            (201, 3),
            (201, 2),
        ]

    await undisturbed(vote_in_this_order, seconds=1.2)


async def test_of_votes_of_one_batch_only_those_with_a_valid_session_count(
    client: httpx.AsyncClient, sign_up: SignUp, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    people = [await sign_up(f"user{i}") for i in range(6)]
    for left in people[1::2]:
        assert (await client.post("/api/v1/auth/logout", headers=left.headers)).status_code == 200
    with sql.transaction():
        sql.execute("SELECT FROM bugs WHERE id = %s FOR UPDATE", (bug["id"],))
        first = asyncio.create_task(client.put(vote_of(bug), headers=people[0].headers))
        await asyncio.sleep(0.2)  # whichever of them go together, the answers are these
        others = [asyncio.create_task(client.put(vote_of(bug), headers=one.headers)) for one in people[1:]]
        await asyncio.sleep(0.2)
    answers = await asyncio.gather(first, *others)
    assert [answer.status_code for answer in answers] == [201, 401, 201, 401, 201, 401]
    assert sorted(answer.json()["vote_count"] for answer in answers[::2]) == [1, 2, 3]
    rows = sql.execute("SELECT user_id::text FROM bug_votes WHERE bug_id = %s", (bug["id"],)).fetchall()
    assert {row[0] for row in rows} == {one.id for one in people[::2]}


async def test_errors_of_a_vote_come_in_the_order_of_the_contract(
    start_app: StartApp, sql: psycopg.Connection[Any]
) -> None:
    """Who asks, the id, the bug, the right: a session that has ended hides all that follows."""
    async with start_app(require_verified_email=True) as client:
        ada, gone = await register(client, "ada"), await register(client, "gone")
        await client.post("/api/v1/auth/logout", headers=gone.headers)
        shown, removed, merged = (put_bug(sql, put_application(sql, f"Application {i}")) for i in range(3))
        remove(sql, removed)
        merge_into(sql, merged, shown)
        for bug_id, status, code in (
            ("no-id", 400, "INVALID_ID"),
            (str(uuid4()), 404, "BUG_NOT_FOUND"),
            (removed, 404, "BUG_NOT_FOUND"),
            (merged, 308, "BUG_MERGED"),
            (shown, 403, "EMAIL_NOT_VERIFIED"),
        ):
            path = f"/api/v1/bugs/{bug_id}/vote"
            refused(await client.post(path), 401, "AUTH_REQUIRED")
            refused(await client.post(path, headers=gone.headers), 401, "INVALID_TOKEN")
            answer = await client.post(path, headers=ada.headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), bug_id
        assert sql.execute("SELECT count(*) FROM bug_votes").fetchone() == (0,)
        sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (ada.id,))
        assert (await client.post(f"/api/v1/bugs/{shown}/vote", headers=ada.headers)).status_code == 201


async def test_a_ban_is_checked_before_the_bug(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    """Also where the session has outlived it."""
    sql.execute(
        "UPDATE users SET banned_at = now(), banned_until = now() + interval '1 day' WHERE id = %s", (ada.id,)
    )
    for bug_id in (bug["id"], str(uuid4())):
        refused(await client.put(f"/api/v1/bugs/{bug_id}/vote", headers=ada.headers), 403, "ACCOUNT_BANNED")
    assert sql.execute("SELECT count(*) FROM bug_votes").fetchone() == (0,)
