"""`Idempotency-Key` on reports, comments and company responses."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import Person, a_report
from tests.responses import bad_fields, refused

Bug = dict[str, Any]
BUGS = "/api/v1/bugs"
KEY = "a key of a client, long enough"


def with_key(person: Person | None = None, key: str = KEY) -> dict[str, str]:
    return {"Idempotency-Key": key, **(person.headers if person else {})}


def count_of(sql: psycopg.Connection[Any], table: str) -> int:
    row = sql.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_repeat_answers_as_the_first_did_and_adds_nothing(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    for person in (None, ada):
        before = count_of(sql, "bugs")
        first = await client.post(BUGS, json=a_report(), headers=with_key(person))
        again = await client.post(f"{BUGS}/", json=a_report(), headers=with_key(person))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert count_of(sql, "bugs") == before + 1


async def test_the_captcha_token_and_the_order_of_keys_are_left_out_of_the_comparison(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    first = await client.post(BUGS, json=a_report(recaptcha_token="one"), headers=with_key())
    turned = dict(reversed(a_report(recaptcha_token="another").items()))
    again = await client.post(BUGS, json=turned, headers=with_key())
    without = {name: value for name, value in a_report().items() if name != "recaptcha_token"}
    bare = await client.post(BUGS, json=without, headers=with_key())
    assert first.json() == again.json() == bare.json()
    assert count_of(sql, "bugs") == 1


async def test_comments_and_responses_are_repeated_safely(
    client: httpx.AsyncClient, member: Person, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    for i, name in enumerate(("comments", "company-response"), start=1):
        path = f"{BUGS}/{bug['id']}/{name}"
        headers = with_key(member, f"key {name}")
        answers = [await client.post(path, json={"content": "x"}, headers=headers) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {201}
        assert answers[0].json() == answers[1].json() == answers[2].json()
        assert count_of(sql, "comments") == i
    assert (await client.get(f"{BUGS}/{bug['id']}")).json()["bug"]["comment_count"] == 2


async def test_the_same_key_with_another_request_is_a_conflict(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    for person in (None, ada):
        await client.post(BUGS, json=a_report(), headers=with_key(person))
        before = count_of(sql, "bugs")
        for body in (a_report(title="Another title"), a_report(priority="low"), a_report(unknown=1)):
            response = await client.post(BUGS, json=body, headers=with_key(person))
            refused(response, 409, "IDEMPOTENCY_CONFLICT")
        assert count_of(sql, "bugs") == before
    comment = await client.post(f"{BUGS}/{bug['id']}/comments", json={"content": "x"}, headers=with_key(ada))
    refused(comment, 409, "IDEMPOTENCY_CONFLICT")


async def test_keys_belong_to_their_sender(client: httpx.AsyncClient, ada: Person, admin: Person) -> None:
    ids = set()
    for person in (ada, admin, None):
        response = await client.post(BUGS, json=a_report(), headers=with_key(person))
        assert response.status_code == 201
        assert "idempotency-replayed" not in response.headers
        ids.add(response.json()["bug"]["id"])
    assert len(ids) == 3


async def test_concurrent_requests_with_one_key_are_executed_once(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    answers = await asyncio.gather(
        *(client.post(BUGS, json=a_report(), headers=with_key(ada)) for _ in range(8))
    )
    assert count_of(sql, "bugs") == 1
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "IDEMPOTENCY_IN_PROGRESS")
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert answer.status_code == 201
    assert len({answer.json()["bug"]["id"] for answer in answers if answer.status_code == 201}) == 1


async def test_only_successful_responses_are_stored(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    refused(
        await client.post(BUGS, json=a_report(recaptcha_token=""), headers=with_key()),
        400,
        "RECAPTCHA_FAILED",
    )
    bad_fields(await client.post(BUGS, json=a_report(title="x"), headers=with_key()))
    response = await client.post(BUGS, json=a_report(title="Quite another title"), headers=with_key())
    assert response.status_code == 201
    assert "idempotency-replayed" not in response.headers


async def test_a_key_is_stored_for_twenty_four_hours(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    first = await client.post(BUGS, json=a_report(), headers=with_key())
    for age, fresh in (("23 hours 59 minutes", False), ("24 hours 1 minute", True)):
        sql.execute(f"UPDATE idempotency_keys SET created_at = now() - interval '{age}'")
        again = await client.post(BUGS, json=a_report(), headers=with_key())
        assert (again.json()["bug"]["id"] != first.json()["bug"]["id"]) is fresh


@pytest.mark.parametrize(
    ("key", "anonymous_fits", "user_fits"),
    [
        ("", False, False),
        ("x", False, True),
        ("x" * 15, False, True),
        ("x" * 16, True, True),
        ("x" * 128, True, True),
    ],
)
async def test_the_length_of_a_key(
    client: httpx.AsyncClient, ada: Person, key: str, anonymous_fits: bool, user_fits: bool
) -> None:
    for person, fits in ((None, anonymous_fits), (ada, user_fits)):
        response = await client.post(BUGS, json=a_report(), headers=with_key(person, key))
        if fits:
            assert response.status_code == 201
        else:
            assert bad_fields(response) == ["Idempotency-Key"]
    assert bad_fields(await client.post(BUGS, json=a_report(), headers=with_key(ada, "x" * 129))) == [
        "Idempotency-Key"
    ]


async def test_a_repeat_needs_the_right_that_the_first_had(
    client: httpx.AsyncClient, member: Person, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    path = f"{BUGS}/{bug['id']}/company-response"
    assert (await client.post(path, json={"content": "x"}, headers=with_key(member))).status_code == 201
    sql.execute("DELETE FROM company_members")
    response = await client.post(path, json={"content": "x"}, headers=with_key(member))
    refused(response, 403, "INSUFFICIENT_PERMISSIONS")


async def test_odd_bodies_under_a_key_are_no_crash(client: httpx.AsyncClient) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    for body in (a_report(odd=deep), a_report(odd=1e308), a_report(odd=10**30)):
        response = await client.post(BUGS, json=body, headers=with_key(key=f"another key {len(str(body))}"))
        assert response.status_code in (201, 400), response.text
