"""Make a report: its ticket, and what it has beyond one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import JSON, bindparam, insert

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support.models import SupportReport
from bugrelay.domain.support.schemas import SCHEME, NewReport
from bugrelay.domain.tickets.schemas import NewTicket, TicketDetail
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork

_COLUMNS = (
    "company_id",
    "ticket_id",
    "user_id",
    "steps_to_reproduce",
    "expected_behavior",
    "actual_behavior",
    "browser_info",
    "page_url",
    "page_title",
    "viewport_size",
    "screen_resolution",
)
_INSERT = Query(
    insert(SupportReport)
    .values({name: bindparam(name, type_=getattr(SupportReport, name).type) for name in _COLUMNS})
    .returning(SupportReport.ticket_id),
    UUID,
)


async def send_report(work: UnitOfWork, tenant: Tenant, new: NewReport) -> TicketDetail:
    """Make a ticket in the project of the scheme, and keep what the report has beyond it.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectArchived
    """
    wanted = NewTicket(
        title=new.title,
        description=new.description,
        scheme=SCHEME.name,
        kind=new.category,
        priority=new.severity,
    )
    ticket = await create_ticket(work, tenant, wanted)
    await work.row(_INSERT, _values(tenant, ticket.id, new))
    return ticket


def _values(tenant: Tenant, ticket_id: UUID, new: NewReport) -> dict[str, Any]:
    given: dict[str, Any] = {
        "company_id": tenant.company_id,
        "ticket_id": ticket_id,
        "user_id": tenant.user_id,
    }
    for name in _COLUMNS[len(given) :]:
        value = getattr(new, name)
        is_json = isinstance(getattr(SupportReport, name).type, JSON)
        given[name] = msgspec.json.encode(value).decode() if is_json and value is not None else value
    return given
