"""Shared by all changes of tickets: the row, long former texts, facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.changes import MAX_VALUE_LENGTH, FieldChange
from bugrelay.domain.tickets.events import TicketEdited
from bugrelay.domain.tickets.models import Ticket, TicketEdit
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def write_row(work: UnitOfWork, tenant: Tenant, ticket: TicketState, values: Mapping[str, Any]) -> None:
    """Write these values to a locked ticket, as its next version."""
    await work.session.execute(
        update(Ticket)
        .where(Ticket.company_id == tenant.company_id, Ticket.id == ticket.id)
        .values(**values, version=ticket.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )


async def record_changes(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, changes: Mapping[str, tuple[Any, Any]]
) -> None:
    """Record changed fields with their old and new values, as the next version; long values go to `ticket_edits`."""
    version = ticket.version + 1
    long = {name: values for name, values in changes.items() if any(map(_is_long, values))}
    if long:
        rows = [
            {"field": name, "old_value": old, "new_value": new, "version": version}
            for name, (old, new) in long.items()
        ]
        of = {"company_id": tenant.company_id, "ticket_id": ticket.id}
        await work.session.execute(insert(TicketEdit), [of | row for row in rows])
    work.record(
        TicketEdited(
            ticket_id=ticket.id,
            company_id=tenant.company_id,
            project_id=changes["project_id"][1] if "project_id" in changes else ticket.project_id,
            changes=tuple(
                FieldChange(field=name, old=None, new=None, is_long=True)
                if name in long
                else FieldChange(field=name, old=old, new=new)
                for name, (old, new) in changes.items()
            ),
            version=version,
            actor_id=tenant.actor_id,
        )
    )


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > MAX_VALUE_LENGTH
