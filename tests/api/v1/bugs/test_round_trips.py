"""How often the busiest routes ask PostgreSQL: each exchange is a wait, and CPU on both sides."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from bugrelay.settings import Rate
from tests.conftest import StartApp, WorkCounted
from tests.factories import Person, put_application, put_bug, put_comments, report

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


async def test_a_detail_for_a_signed_in_viewer_is_two_statements(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], work_counted: WorkCounted
) -> None:
    for _ in range(WARM_UP):
        await client.get(f"{BUGS}/{bug['id']}", headers=ada.headers)
    with work_counted() as work:
        shown = await client.get(f"{BUGS}/{bug['id']}", headers=ada.headers)
    assert shown.json()["bug"]["voted"] is False
    assert work.exchanges == 2


async def _reporting(client: httpx.AsyncClient, counted: WorkCounted, *, person: Person | None = None) -> int:
    """Exchanges for a report of an application that is known."""
    for _ in range(WARM_UP):
        await report(client, person)
    with counted() as work:
        await report(client, person)
    return work.exchanges


async def test_a_report_is_one_statement(client: httpx.AsyncClient, work_counted: WorkCounted) -> None:
    """Beside it stands the event log's, in one message with the COMMIT; the answer reads nothing."""
    assert await _reporting(client, work_counted) == 2


async def test_a_report_by_a_signed_in_user_is_two_statements(
    client: httpx.AsyncClient, ada: Person, work_counted: WorkCounted
) -> None:
    assert await _reporting(client, work_counted, person=ada) == 3


async def test_a_budget_of_new_applications_costs_known_ones_nothing(
    start_app: StartApp, work_counted: WorkCounted
) -> None:
    async with start_app(new_applications_per_day=Rate(20, 86_400)) as client:
        assert await _reporting(client, work_counted) == 2


async def test_a_vote_is_one_statement_for_every_voter(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], work_counted: WorkCounted
) -> None:
    """It asks for the session and the bug as well."""
    path = f"{BUGS}/{bug['id']}/vote"
    for _ in range(WARM_UP):
        await client.post(path, headers=ada.headers)
    with work_counted() as work:
        voted = await client.post(path, headers=ada.headers)
    assert voted.status_code == 201
    assert work.exchanges == 1
