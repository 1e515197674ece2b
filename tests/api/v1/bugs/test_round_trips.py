"""How often the busiest routes ask PostgreSQL: each exchange is a wait, and CPU on both sides."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from tests.conftest import WorkCounted
from tests.factories import Person, put_application, put_bug, put_comments

BUGS = "/api/v1/bugs"
WARM_UP = 8  # times; then every statement that the loop may come to is prepared


async def test_a_detail_is_one_statement(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any], work_counted: WorkCounted
) -> None:
    """Each bug is another one, so that no cache answers."""
    application = put_application(sql)
    bugs = [put_bug(sql, application) for _ in range(WARM_UP + 1)]
    put_comments(sql, bugs[-1], 100)
    for bug_id in bugs[:-1]:
        assert (await client.get(f"{BUGS}/{bug_id}")).status_code == 200
    with work_counted() as work:
        shown = await client.get(f"{BUGS}/{bugs[-1]}")
    assert len(shown.json()["bug"]["comments"]) == 100
    assert work.exchanges == 1


async def test_the_signed_in_are_asked_for_besides(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], work_counted: WorkCounted
) -> None:
    for _ in range(WARM_UP):
        await client.get(f"{BUGS}/{bug['id']}", headers=ada.headers)
    with work_counted() as work:
        shown = await client.get(f"{BUGS}/{bug['id']}", headers=ada.headers)
    assert shown.json()["bug"]["voted"] is False
    assert work.exchanges == 2
