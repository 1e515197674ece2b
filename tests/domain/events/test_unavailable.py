"""A stream that somebody else holds, and a connection that is lost at the COMMIT: nothing is half written."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg

from bugrelay.domain.events.schemas import SHARED_STREAMS
from tests.domain.events.conftest import Sql, heads, logged
from tests.factories import Person, report


async def test_a_write_that_waits_too_long_for_its_stream_is_503_and_leaves_nothing(
    client: httpx.AsyncClient, sql: Sql, database_url: str, ada: Person
) -> None:
    bug = await report(client)
    stream = bug["assigned_company_id"] or SHARED_STREAMS[int(bug["id"][-1], 16)]
    path = f"/api/v1/bugs/{bug['id']}/comments"
    before = logged(sql)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM event_streams WHERE stream = %s FOR UPDATE", (stream,))
        refused = await client.post(path, json={"content": "The same"}, headers=ada.headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert logged(sql) == before
    assert _comments(sql, bug["id"]) == (0, 0)
    assert (await client.post(path, json={"content": "The same"}, headers=ada.headers)).status_code == 201
    assert _comments(sql, bug["id"]) == (1, 1)
    assert logged(sql) == heads(sql)


async def test_a_connection_that_ends_before_the_commit_leaves_no_gap(
    client: httpx.AsyncClient, sql: Sql, database_url: str, ada: Person
) -> None:
    bug = await report(client)
    stream = bug["assigned_company_id"] or SHARED_STREAMS[int(bug["id"][-1], 16)]
    before = logged(sql)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM event_streams WHERE stream = %s FOR UPDATE", (stream,))
        posting = asyncio.create_task(
            client.post(
                f"/api/v1/bugs/{bug['id']}/comments", json={"content": "The same"}, headers=ada.headers
            )
        )
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(30):
            while not sql.execute(ended).fetchall():
                await asyncio.sleep(0.01)
        assert (await posting).status_code == 503
    assert logged(sql) == before
    assert _comments(sql, bug["id"]) == (0, 0)


def _comments(sql: Sql, bug_id: str) -> Any:
    return sql.execute(
        "SELECT (SELECT count(*) FROM comments WHERE bug_id = b.id), comment_count FROM bugs b WHERE id = %s",
        (bug_id,),
    ).fetchone()
