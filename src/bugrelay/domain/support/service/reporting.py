"""Create a support report."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, insert

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.support.models import SupportReport
from bugrelay.domain.support.schemas import SCHEME, NewReport, RedactedRecord
from bugrelay.domain.support.service.screenshots import add_screenshot, use_upload
from bugrelay.domain.tickets.schemas import NewTicket, TicketDetail
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork

_TYPED = ("steps_to_reproduce", "expected_behavior", "actual_behavior")
_COLUMNS = (
    *("company_id", "ticket_id", "user_id", "screenshot_annotations"),
    *_TYPED,
    *RedactedRecord.__struct_fields__,
)
_INSERT = Query(
    insert(SupportReport)
    .values({name: bindparam(name, type_=getattr(SupportReport, name).type) for name in _COLUMNS})
    .returning(SupportReport.ticket_id),
    UUID,
)


async def send_report(
    work: UnitOfWork, tenant: Tenant, new: NewReport, *, record: RedactedRecord, screenshot: NewFile | None
) -> TicketDetail:
    """Create a ticket in the project of the scheme, and the report's row.

    Args:
        work: The unit of work, entered.
        tenant: The company and the reporter.
        new: The typed part.
        record: The redacted record of the browser.
        screenshot: The file that was sent along, stored already; None without one.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectArchived
        ValidationFailed: The reporter has no such upload.
    """
    wanted = NewTicket(
        title=new.title,
        description=new.description,
        scheme=SCHEME.name,
        kind=new.category,
        priority=new.severity,
    )
    ticket = await create_ticket(work, tenant, wanted)
    await work.row(_INSERT, _values(tenant, ticket.id, new, record))
    if screenshot is not None:
        add_screenshot(work, tenant, ticket_id=ticket.id, file=screenshot)
    elif new.screenshot_name is not None:
        await use_upload(work, tenant, ticket_id=ticket.id, name=new.screenshot_name)
    return ticket


def _values(tenant: Tenant, ticket_id: UUID, new: NewReport, record: RedactedRecord) -> dict[str, Any]:
    annotations = new.screenshot_annotations
    return {
        "company_id": tenant.company_id,
        "ticket_id": ticket_id,
        "user_id": tenant.user_id,
        "screenshot_annotations": None if annotations is None else msgspec.json.encode(annotations).decode(),
        **{name: getattr(new, name) for name in _TYPED},
        **msgspec.structs.asdict(record),
    }
