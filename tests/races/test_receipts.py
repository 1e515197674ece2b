"""The owner of a report confirms an address, follows and withdraws at once: none of them waits for who waits for it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from bugrelay.infra.security.tokens import hash_secret
from tests.factories import a_report
from tests.locks import until_somebody_waits_for_a_lock
from tests.races.conftest import at_once

Sql = psycopg.Connection[Any]
ATTEMPTS = 5
TOKEN = "a token that stands in the link of a mail to confirm"
PUT_ADDRESSES = """
INSERT INTO report_contacts (id, bug_id, email, level, token_hash, expires_at, confirmed_at) VALUES
    (%(confirmed)s, %(bug)s, 'owner@people.example', 'all', NULL, NULL, now()),
    (%(waiting)s, %(bug)s, 'new@people.example', 'all', %(token)s, now() + interval '1 day', NULL)
"""


@pytest.mark.parametrize("act", ["follow", "withdraw"])
async def test_a_confirmation_does_not_deadlock_with_other_changes_by_the_owner(
    act: str, client: httpx.AsyncClient, sql: Sql, database_url: str
) -> None:
    """Both begin while somebody else holds the newer address, so that each has what it locks before that.

    Whoever waits for a lock gives up after two seconds, on a slow machine too early; so the same is tried again.
    """
    for _ in range(ATTEMPTS):
        receipt = await reported_with_two_addresses(client, sql)
        with psycopg.connect(database_url) as holding:
            holding.execute("SELECT FROM report_contacts WHERE confirmed_at IS NULL FOR UPDATE")
            confirming = asyncio.create_task(client.post("/contact/confirm", data={"token": TOKEN}))
            await until_somebody_waits_for_a_lock(sql)
            acting = asyncio.create_task(
                client.put(f"{receipt}/subscription", json={"level": "official"})
                if act == "follow"
                else client.post(f"{receipt}/withdraw")
            )
            await until_somebody_waits_for_a_lock(sql, number=2)
        if [(await one).status_code for one in (confirming, acting)] == [200, 200]:
            return
        sql.execute("DELETE FROM report_contacts")
    raise AssertionError(f"somebody who confirms and somebody who wants to {act} hold each other up")


async def test_a_confirmation_a_change_of_level_and_a_withdrawal_at_once_leave_no_address(
    client: httpx.AsyncClient, sql: Sql, rounds: int
) -> None:
    for _ in range(rounds):
        receipt = await reported_with_two_addresses(client, sql)
        answers = await at_once(
            [
                client.post("/contact/confirm", data={"token": TOKEN}),
                client.put(f"{receipt}/subscription", json={"level": "official"}),
                client.post(f"{receipt}/withdraw"),
            ]
        )
        confirmed, followed, withdrawn = (one.status_code for one in answers)
        assert (confirmed in (200, 400), followed in (200, 404), withdrawn) == (True, True, 200)
        assert sql.execute("SELECT count(*) FROM report_contacts").fetchone() == (0,)


async def reported_with_two_addresses(client: httpx.AsyncClient, sql: Sql) -> str:
    """The path of the receipt; the token confirms the newer address."""
    answer = (await client.post("/api/v1/bugs", json=a_report())).json()
    ids = {"waiting": uuid4(), "confirmed": uuid4(), "bug": answer["bug"]["id"], "token": hash_secret(TOKEN)}
    sql.execute(PUT_ADDRESSES, ids)
    path: str = answer["receipt"]["url"].removeprefix("http://127.0.0.1:8000")
    return path
