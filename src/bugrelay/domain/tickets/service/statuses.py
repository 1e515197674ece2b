"""Change a ticket's status."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import func

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.errors import InvalidTransition
from bugrelay.domain.tickets.events import TicketStatusChanged
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.domain.tickets.schemes import DONE, SCHEMES, Category
from bugrelay.domain.tickets.service.locking import Expected, assignee_ids_of, lock_ticket
from bugrelay.domain.tickets.service.writing import record_changes, write_row
from bugrelay.errors import InsufficientPermissions, ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def change_status(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    status: str,
    resolution_notes: str | UnsetType | None = UNSET,
    expected: Expected = None,
) -> None:
    """Set the status, and the notes with it. Setting the current ones changes nothing, which everybody may.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, VersionConflict, InsufficientPermissions
        InvalidTransition: The ticket's scheme has no such transition.
        ValidationFailed: The ticket's scheme has no such status.
    """
    ticket = await lock_ticket(work, tenant, ticket_id, expected=expected)
    category = _category(ticket, status)
    notes_change = resolution_notes is not UNSET and resolution_notes != ticket.resolution_notes
    if status == ticket.status and not notes_change:
        return
    await _check_rights(work, tenant, ticket, category=category, with_notes=notes_change)
    values = _values(ticket, status, category)
    if notes_change:
        values["resolution_notes"] = resolution_notes
    await write_row(work, tenant, ticket, values)
    if "status" in values:
        work.record(_status_fact(tenant, ticket, status, category))
    if notes_change:
        notes = (ticket.resolution_notes, resolution_notes)
        await record_changes(work, tenant, ticket, {"resolution_notes": notes})


def _category(ticket: TicketState, status: str) -> Category:
    """The category of the status, if it is the current one or a transition leads to it.

    Raises:
        InvalidTransition, ValidationFailed
    """
    scheme = SCHEMES[ticket.scheme]
    if status not in scheme.statuses:
        raise ValidationFailed.of("status", f"must be one of {', '.join(scheme.statuses)}")
    allowed = scheme.moves[ticket.status]
    if status != ticket.status and status not in allowed:
        raise InvalidTransition(old=ticket.status, new=status, allowed=allowed)
    return scheme.category_of(status)


async def _check_rights(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, *, category: Category, with_notes: bool
) -> None:
    """
    Raises:
        InsufficientPermissions
    """
    is_assigned = not policies.may_triage(tenant) and tenant.user_id in await assignee_ids_of(
        work, tenant, ticket.id
    )
    may = policies.may_change_status(tenant, ticket, category=category, is_assigned=is_assigned)
    if not may or (with_notes and not (is_assigned or policies.may_triage(tenant))):
        raise InsufficientPermissions("You may not change the status of this ticket so")


def _values(ticket: TicketState, status: str, category: Category) -> dict[str, Any]:
    """`resolved_at` is set on entering `done`, kept between two such statuses, cleared on leaving."""
    if status == ticket.status:
        return {}
    values: dict[str, Any] = {"status": status, "category": category}
    if category == DONE and ticket.category != DONE:
        values["resolved_at"] = func.now()
    elif category != DONE:
        values["resolved_at"] = None
    return values


def _status_fact(tenant: Tenant, ticket: TicketState, status: str, category: Category) -> TicketStatusChanged:
    return TicketStatusChanged(
        ticket_id=ticket.id,
        company_id=tenant.company_id,
        project_id=ticket.project_id,
        old=ticket.status,
        new=status,
        category=category,
        version=ticket.version + 1,
        actor_id=tenant.actor_id,
    )
