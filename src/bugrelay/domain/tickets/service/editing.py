"""Edit a ticket, and move it to another project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict
from sqlalchemy import delete, insert

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.models import Ticket, TicketAssignee
from bugrelay.domain.tickets.schemas import TicketChanges, TicketState
from bugrelay.domain.tickets.service.creating import refuse_inactive
from bugrelay.domain.tickets.service.locking import Expected, assignee_ids_of, lock_ticket
from bugrelay.domain.tickets.service.moving import move_ticket
from bugrelay.domain.tickets.service.writing import record_changes, write_row
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.text.markdown import render


async def edit_ticket(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, wanted: TicketChanges, *, expected: Expected = None
) -> None:
    """Change the fields that were sent and differ; nothing if none does.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, VersionConflict
        InsufficientPermissions: The user may not change one of the fields.
        ProjectNotFound, ProjectArchived: For the project that it is moved to.
        ValidationFailed: An assignee is not active in the company.
    """
    html = UNSET if wanted.description is UNSET else render(wanted.description)  # before the first lock
    ticket = await lock_ticket(work, tenant, ticket_id, expected=expected)
    changes = await _changes(work, tenant, ticket, wanted)
    if not changes:
        return
    if not policies.may_edit(tenant, ticket, changes):
        raise InsufficientPermissions("You may not change these fields of this ticket")
    if "assignee_ids" in changes:
        await _assign(work, tenant, ticket, *changes["assignee_ids"])
    await write_row(work, tenant, ticket, _columns(changes, description_html=html))
    if "project_id" in changes:
        changes |= await move_ticket(work, tenant, ticket, project_id=changes["project_id"][1])
    await record_changes(work, tenant, ticket, changes)


async def _changes(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, wanted: TicketChanges
) -> dict[str, tuple[Any, Any]]:
    """The fields that change, each with its old and its new value.

    Raises:
        InsufficientPermissions: A user who may not see internal notes sends some, other than the null that they were
            shown. The error does not reveal whether these differ.
    """
    sent = {name: value for name, value in asdict(wanted).items() if value is not UNSET}
    if not policies.may_triage(tenant) and sent.pop("internal_notes", None) is not None:
        raise InsufficientPermissions("Only members of the company may write internal notes")
    former = {name: getattr(ticket, name) for name in sent if name != "assignee_ids"}
    if "assignee_ids" in sent:
        former["assignee_ids"] = list(await assignee_ids_of(work, tenant, ticket.id))
    return {name: (former[name], value) for name, value in sent.items() if value != former[name]}


_COLUMNS = Ticket.__table__.columns.keys()


def _columns(changes: Mapping[str, tuple[Any, Any]], *, description_html: str | UnsetType) -> dict[str, Any]:
    """The new values of the ticket's row; project and number are changed by the move."""
    values = {name: new for name, (_, new) in changes.items() if name in _COLUMNS and name != "project_id"}
    if "description" in values:
        values["description_html"] = description_html
    return values


async def _assign(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, former: list[UUID], wanted: list[UUID]
) -> None:
    """Replace the assignees. Former assignees may have left the company since."""
    await refuse_inactive(work, tenant, wanted, except_for=former)
    await work.session.execute(
        delete(TicketAssignee)
        .where(TicketAssignee.company_id == tenant.company_id, TicketAssignee.ticket_id == ticket.id)
        .execution_options(synchronize_session=False)
    )
    if wanted:
        of = {"company_id": tenant.company_id, "ticket_id": ticket.id}
        rows = [of | {"user_id": user_id, "position": position} for position, user_id in enumerate(wanted, 1)]
        await work.session.execute(insert(TicketAssignee), rows)
