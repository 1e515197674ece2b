"""What acts on tickets by itself changes them as a member does, in nobody's name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.schemas import TicketChanges
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.platform import Platform
from tests.api.tickets.conftest import Caller, Join, Sql

CHAIN = ("evt_00000000-0000-7000-8000-000000000000_1", "rule:00000000-0000-7000-8000-000000000001")
CAUSE = {"kind": "rule", "chain": list(CHAIN)}


async def act(work: UnitOfWork, automation: Automation, ticket_id: UUID) -> None:
    await edit_ticket(work, automation, ticket_id, TicketChanges(priority="critical", department="Sales"))
    await change_status(work, automation, ticket_id, status="closed")
    await write_comment(work, automation, ticket_id, content="Closed")
    await write_comment(work, automation, ticket_id, content="Nobody asked", is_internal=True)


async def test_it_changes_and_comments_in_nobodys_name_and_history_says_why(
    platform: Platform, boss: Caller, rita: Caller, company_id: str
) -> None:
    ticket = await rita.ticket()
    with caused_by("rule", chain=CHAIN):
        async with platform.work() as work:
            await act(work, Automation(UUID(company_id)), UUID(ticket["id"]))
    history = (await boss.done("GET", f"tickets/{ticket['key']}/history"))[1:]
    assert [(one["action"], one["field"], one["user"], one["cause"]) for one in history] == [
        ("changed", "priority", None, CAUSE),
        ("changed", "department", None, CAUSE),
        ("status_changed", "status", None, CAUSE),
        ("commented", "comment", None, CAUSE),
        ("commented", "comment", None, CAUSE),
    ]
    comments = await boss.done("GET", f"tickets/{ticket['key']}/comments")
    assert [(one["author"], one["content"]) for one in comments] == [
        (None, "Closed"),
        (None, "Nobody asked"),
    ]
    assert [one["content"] for one in await rita.done("GET", f"tickets/{ticket['key']}/comments")] == [
        "Closed"
    ]
    path = f"tickets/{ticket['key']}/comments/{comments[0]['id']}"
    await boss.refused(403, "INSUFFICIENT_PERMISSIONS", "PATCH", path, {"content": "Mine"})


async def test_it_acts_in_its_own_company_alone_while_that_is_verified(
    platform: Platform, join: Join, others_member: Any, rita: Caller, company_id: str, sql: Sql
) -> None:
    ticket_id = UUID((await rita.ticket())["id"])
    row = sql.execute(
        "SELECT company_id FROM company_members WHERE user_id = %s", (others_member.id,)
    ).fetchone()
    assert row is not None
    with pytest.raises(TicketNotFound):
        async with platform.work() as work:
            await act(work, Automation(row[0]), ticket_id)
    sql.execute("UPDATE companies SET verified = false WHERE id = %s", (company_id,))
    with pytest.raises(CompanyNotFound):
        async with platform.work() as work:
            await act(work, Automation(UUID(company_id)), ticket_id)
