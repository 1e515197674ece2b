"""Locks a ticket for a change: changes of a ticket are serialised from here to the COMMIT."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import bindparam, exists, select

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import TicketNotFound, VersionConflict
from bugrelay.domain.tickets.models import Project, Ticket, TicketAssignee
from bugrelay.domain.tickets.repository.columns import values_of
from bugrelay.domain.tickets.repository.history import fields_changed_since
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.domain.tickets.service.acting import acting_values, membership, refuse_former_member
from bugrelay.domain.tickets.visibility import COMPANY_ID, by_actor, visible_to
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork

Expected: TypeAlias = frozenset[int] | None
"""The versions that a change expects; None for any."""


# Not joined: if the ticket was moved while the statement waited for its lock, a join would still have the former
# project, and so no row.
_SCHEME = (
    select(Project.scheme)
    .where(Project.company_id == COMPANY_ID, Project.id == Ticket.project_id)
    .correlate(Ticket)
    .scalar_subquery()
    .label("scheme")
)
_LOCKED = (
    select(
        *(_SCHEME if name == "scheme" else getattr(Ticket, name) for name in TicketState.__struct_fields__)
    )
    .where(Ticket.company_id == COMPANY_ID, Ticket.id == bindparam("ticket_id"))
    .with_for_update(key_share=True, of=Ticket)
)


def _locking(tenant: Tenant) -> Query[TicketState]:
    return Query(_LOCKED.where(visible_to(tenant), exists(select(membership(tenant).c.role))), TicketState)


_LOCK = by_actor(_locking)
_LOCK_REMOVED = Query(_LOCKED.where(Ticket.removed_at.is_not(None)), TicketState)


async def lock_ticket(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, expected: Expected = None
) -> TicketState:
    """Lock the user, the membership and the ticket in one statement, and return the current ticket.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions
        TicketNotFound: The user does not see it.
        VersionConflict: It does not have the expected version.
    """
    ticket = await work.row(_LOCK.of(tenant), acting_values(tenant, ticket_id=ticket_id))
    if ticket is None:
        await refuse_former_member(work, tenant)
        raise TicketNotFound
    await require_version(
        expected,
        current=ticket.version,
        changed_since=lambda seen: fields_changed_since(work, tenant, ticket.id, seen),
    )
    return ticket


async def lock_removed_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> TicketState | None:
    """Lock and return a removed ticket of the company; None if it is not removed."""
    return await work.row(_LOCK_REMOVED, values_of(tenant, ticket_id=ticket_id))


async def require_version(
    expected: Expected, *, current: int, changed_since: Callable[[int], Awaitable[Sequence[str]]]
) -> None:
    """Check the version of a locked row.

    Args:
        expected: The versions that the change expects.
        current: The version of the row.
        changed_since: Returns the fields that have changed after a version.

    Raises:
        VersionConflict: It has none of the expected versions. Names what has changed since the newest of those that
            has existed.
    """
    if expected is None or current in expected:
        return
    seen = max((version for version in expected if version < current), default=current)
    raise VersionConflict(version=current, changed_fields=await changed_since(seen))


_ASSIGNEE_IDS = Query(
    select(TicketAssignee.user_id)
    .where(TicketAssignee.company_id == COMPANY_ID, TicketAssignee.ticket_id == bindparam("ticket_id"))
    .order_by(TicketAssignee.position),
    UUID,
)


async def assignee_ids_of(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> Sequence[UUID]:
    """The assignees of a locked ticket, in order."""
    return await work.rows(_ASSIGNEE_IDS, values_of(tenant, ticket_id=ticket_id))
