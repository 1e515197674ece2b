"""Votes and comments at the same moment: counters are their rows after any interleaving."""

from __future__ import annotations

import random
from typing import Any

import httpx
import psycopg

from tests.factories import make_admin, register, report
from tests.races.conftest import AssertTrue, at_once, crowd

Rows = psycopg.Connection[Any]


def count_of(sql: Rows, query: str, bug_id: str) -> int:
    row = sql.execute(query, (bug_id,)).fetchone()
    assert row is not None
    return int(row[0])


def votes(sql: Rows, bug_id: str) -> tuple[int, int]:
    """The counter, and the rows."""
    counter = count_of(sql, "SELECT vote_count FROM bugs WHERE id = %s", bug_id)
    return counter, count_of(sql, "SELECT count(*) FROM bug_votes WHERE bug_id = %s", bug_id)


async def test_50_toggles_of_one_user_end_with_no_vote_or_one(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    ada = await register(client, "ada")
    bug = await report(client)
    path = f"/api/v1/bugs/{bug['id']}/vote"
    for _ in range(rounds):
        before = votes(sql, bug["id"])[0]
        answers = await at_once(client.post(path, headers=ada.headers) for _ in range(50))
        assert {answer.status_code for answer in answers} <= {200, 201, 503}
        counter, rows = votes(sql, bug["id"])
        assert counter == rows
        assert counter in (0, 1)
        moved = sum(1 if answer.json()["voted"] else -1 for answer in answers if answer.status_code != 503)
        assert before + moved == counter
    await assert_counters_are_true()


async def test_50_users_at_once_are_50_votes(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    people = await crowd(client, 50)
    for turn in range(rounds):
        bug = await report(client)
        path = f"/api/v1/bugs/{bug['id']}/vote"
        method = ("POST", "PUT")[turn % 2]
        answers = await at_once(client.request(method, path, headers=person.headers) for person in people)
        assert [answer.status_code for answer in answers] == [201] * 50
        assert sorted(answer.json()["vote_count"] for answer in answers) == list(range(1, 51))
        assert votes(sql, bug["id"]) == (50, 50)
    await assert_counters_are_true()


async def test_sets_withdrawals_and_toggles_mixed(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    people = await crowd(client, 5)
    bug = await report(client)
    path = f"/api/v1/bugs/{bug['id']}/vote"
    for _ in range(rounds):
        answers = await at_once(
            client.request(
                random.choice(("POST", "PUT", "DELETE")), path, headers=random.choice(people).headers
            )
            for _ in range(50)
        )
        assert {answer.status_code for answer in answers} <= {200, 201}
        counter, rows = votes(sql, bug["id"])
        assert counter == rows
        assert 0 <= counter <= 5
    for method, expected in (("PUT", 5), ("DELETE", 0)):
        await at_once(client.request(method, path, headers=p.headers) for p in people for _ in range(3))
        assert votes(sql, bug["id"]) == (expected, expected)
    await assert_counters_are_true()


async def test_comments_written_and_withdrawn_at_once(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    people = await crowd(client, 10)
    bug = await report(client)
    path = f"/api/v1/bugs/{bug['id']}/comments"
    visible = "SELECT count(*) FROM comments WHERE bug_id = %s AND removed_at IS NULL"
    for turn in range(1, rounds + 1):
        written = await at_once(
            client.post(path, json={"content": "Me too."}, headers=person.headers) for person in people * 2
        )
        assert [answer.status_code for answer in written] == [201] * 20
        withdrawn = await at_once(
            client.delete(f"/api/v1/comments/{answer.json()['comment']['id']}", headers=person.headers)
            for answer, person in zip(written, people * 2, strict=True)
            for _ in range(2 if person is people[0] else 0)
        )
        assert sorted(answer.status_code for answer in withdrawn) == [200, 200, 404, 404]
        counter = count_of(sql, "SELECT comment_count FROM bugs WHERE id = %s", bug["id"])
        assert counter == count_of(sql, visible, bug["id"]) == 18 * turn
    await assert_counters_are_true()


async def test_votes_and_comments_while_bugs_are_merged_removed_and_brought_back(
    client: httpx.AsyncClient, sql: Rows, assert_counters_are_true: AssertTrue, rounds: int
) -> None:
    people = await crowd(client, 10)
    admin = await register(client, "moderator")
    make_admin(sql, admin)
    for _ in range(rounds):
        source, target = [(await report(client))["id"] for _ in range(2)]
        acts = [
            (
                "POST",
                "/api/v1/admin/bugs/merge",
                {"source_bug_id": source, "target_bug_id": target, "reason": "Twins"},
            ),
            ("POST", f"/api/v1/admin/bugs/{source}/unmerge", {"reason": "No twins after all"}),
            ("DELETE", f"/api/v1/admin/bugs/{target}", {"reason": "Spam, perhaps"}),
            ("POST", f"/api/v1/admin/bugs/{target}/restore", None),
        ]
        answers = await at_once(
            [
                *(client.request(m, path, json=body, headers=admin.headers) for m, path, body in acts),
                *(
                    client.post(
                        f"/api/v1/bugs/{random.choice((source, target))}/vote", headers=person.headers
                    )
                    for person in people * 2
                ),
                *(
                    client.post(
                        f"/api/v1/bugs/{random.choice((source, target))}/comments",
                        json={"content": "Me too."},
                        headers=person.headers,
                    )
                    for person in people
                ),
            ]
        )
        assert all(answer.status_code < 500 for answer in answers)
    await assert_counters_are_true()
