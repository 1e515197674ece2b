"""Remove and restore tickets; for admins."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.events import TicketRemoved, TicketRestored
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.domain.tickets.service.locking import lock_removed_ticket, lock_ticket
from bugrelay.domain.tickets.service.writing import write_row
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def remove_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> None:
    """Remove a ticket; its number is not reused.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, InsufficientPermissions
    """
    ticket = await lock_ticket(work, tenant, ticket_id)
    require_admin(tenant)
    await write_row(work, tenant, ticket, {"removed_at": func.now()})
    work.record(
        TicketRemoved(
            ticket_id=ticket.id,
            company_id=tenant.company_id,
            project_id=ticket.project_id,
            version=ticket.version + 1,
            actor_id=tenant.actor_id,
        )
    )


async def restore_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> None:
    """Restore a removed ticket; idempotent.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, InsufficientPermissions
    """
    await lock_member(work, tenant)
    require_admin(tenant)
    ticket = await lock_removed_ticket(work, tenant, ticket_id)
    if ticket is None:
        return
    await write_row(work, tenant, ticket, {"removed_at": None})
    work.record(
        TicketRestored(
            ticket_id=ticket.id,
            company_id=tenant.company_id,
            project_id=ticket.project_id,
            version=ticket.version + 1,
            actor_id=tenant.actor_id,
        )
    )


def require_admin(tenant: Tenant) -> None:
    """
    Raises:
        InsufficientPermissions
    """
    if not policies.is_admin(tenant):
        raise InsufficientPermissions("Only the company's admins may do this")
