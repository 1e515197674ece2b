"""How often the ticket API asks PostgreSQL: beside who it is, and in which company, once."""

from __future__ import annotations

from typing import Any

from tests.api.tickets.conftest import Caller
from tests.conftest import WorkCounted

WARM_UP = 8  # times; then every statement is prepared
ASKED_FIRST = 2  # the session, and the place in the company
WRITTEN = 2  # the change, and the event log with the COMMIT


async def _exchanges(caller: Caller, counted: WorkCounted, method: str, path: str, body: Any = None) -> int:
    for _ in range(WARM_UP):
        await caller.done(method, path, body)
    with counted() as work:
        await caller.done(method, path, body)
    return work.exchanges


async def test_a_ticket_is_shown_and_made_by_one_statement(mae: Caller, work_counted: WorkCounted) -> None:
    body = {"title": "x", "assigneeIds": [mae.id], "tags": ["a"]}
    assert await _exchanges(mae, work_counted, "POST", "tickets", body) == ASKED_FIRST + WRITTEN
    for name in ("TSK-1001", (await mae.ticket())["id"]):
        assert await _exchanges(mae, work_counted, "GET", f"tickets/{name}") == ASKED_FIRST + 1


async def test_a_comment_is_written_by_one_statement(mae: Caller, work_counted: WorkCounted) -> None:
    """The ticket is looked for before the body is read, and the comment is read for the answer."""
    path = f"tickets/{(await mae.ticket())['id']}/comments"
    written = await _exchanges(mae, work_counted, "POST", path, {"content": "x"})
    assert written == ASKED_FIRST + 1 + WRITTEN + 1
