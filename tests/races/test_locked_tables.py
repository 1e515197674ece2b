"""A table that is locked holds up those who write to it, and nobody who votes for the same bug."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.moderation.acts import WHY, comment, merging, picture
from tests.factories import Person, make_admin, make_member, register, report
from tests.races.conftest import AssertTrue

Rows = psycopg.Connection[Any]

# Whoever waits for a table gives up after two seconds. On a slow machine that may be before anything was seen, so the
# same is tried again.
ATTEMPTS = 10
WAITING = "SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted"

COMMENT = {"json": {"content": "Me too."}}
CHANGES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "comment": ("comments", "POST", "/api/v1/bugs/{bug}/comments", COMMENT),
    "official response": ("comments", "POST", "/api/v1/bugs/{bug}/company-response", COMMENT),
    "withdrawn comment": ("comments", "DELETE", "/api/v1/comments/{comment}", {}),
    "removed comment": ("comments", "DELETE", "/api/v1/admin/comments/{comment}", {"json": WHY}),
    "status": ("status_changes", "PATCH", "/api/v1/bugs/{bug}/status", {"json": {"status": "reviewing"}}),
    "correction": (
        "bug_edits",
        "PATCH",
        "/api/v1/bugs/{bug}",
        {"json": {"title": "Crash when a draft is saved"}},
    ),
    "picture": (
        "attachments",
        "POST",
        "/api/v1/bugs/{bug}/attachments",
        {"files": {"file": ("shot.png", picture(), "image/png")}},
    ),
    "merge": ("bug_merges", "POST", "/api/v1/admin/bugs/merge", {}),
}


@pytest.fixture
async def admin(client: httpx.AsyncClient, sql: Rows) -> Person:
    person = await register(client, "moderator")
    make_admin(sql, person)
    return person


@pytest.mark.parametrize("change", CHANGES)
async def test_a_vote_does_not_wait_for_a_locked_table_of(
    change: str, client: httpx.AsyncClient, admin: Person, sql: Rows, database_url: str
) -> None:
    table, method, path, body = CHANGES[change]
    voter = await register(client, "voter")
    for _ in range(ATTEMPTS):
        bug_id = (await report(client, admin))["id"]
        names = {"bug": bug_id, "comment": await comment(client, admin, bug_id, "Seen here too.")}
        if change == "merge":
            body = {"json": merging(bug_id, (await report(client, admin))["id"])}
        sent = client.request(method, path.format(**names), headers=admin.headers, **body)
        async with _waiting_for(table, asyncio.ensure_future(sent), database_url=database_url):
            vote = await client.put(f"/api/v1/bugs/{bug_id}/vote", headers=voter.headers)
            if vote.status_code == 201 and _is_waited_for(table, sql):
                return
    raise AssertionError(f"no vote came through while a {change} waited for {table}")


async def test_a_bug_that_goes_to_another_company_is_answered_by_that_one(
    client: httpx.AsyncClient,
    admin: Person,
    sql: Rows,
    database_url: str,
    assert_counters_are_true: AssertTrue,
) -> None:
    bug = await report(client, admin, application_url="https://one.example.com")
    other = await report(client, application_name="Other", application_url="https://other.example.org")
    company_id = other["assigned_company_id"]
    assert bug["assigned_company_id"] != company_id
    member = await register(client, "member")
    make_member(sql, member, company_id)
    path = f"/api/v1/bugs/{bug['id']}/comments"
    for _ in range(ATTEMPTS):
        sent = asyncio.ensure_future(client.post(path, headers=member.headers, **COMMENT))
        async with _waiting_for("comments", sent, database_url=database_url):
            sql.execute("UPDATE bugs SET assigned_company_id = %s WHERE id = %s", (company_id, bug["id"]))
        if sent.result().status_code == 201:
            break
        sql.execute(
            "UPDATE bugs SET assigned_company_id = %s WHERE id = %s", (bug["assigned_company_id"], bug["id"])
        )
    assert sent.result().json()["comment"]["is_company_response"] is True
    assert sql.execute("SELECT company_id::text FROM comments").fetchall() == [(company_id,)]


@asynccontextmanager
async def _waiting_for(
    table: str, sent: asyncio.Future[httpx.Response], *, database_url: str
) -> AsyncIterator[None]:
    """The block begins when a call waits for the table, or has given up; after it the call is done."""
    with psycopg.connect(database_url) as locking:
        locking.execute(f"LOCK TABLE {table} IN SHARE MODE")
        while not (_is_waited_for(table, locking) or sent.done()):
            await asyncio.sleep(0.01)
        yield
    await sent


def _is_waited_for(table: str, rows: Rows) -> bool:
    return rows.execute(WAITING, (table,)).rowcount > 0
