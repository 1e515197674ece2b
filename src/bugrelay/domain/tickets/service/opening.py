"""Locks a ticket for a change: changes of a ticket are serialised from here to the COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
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


def _opening(tenant: Tenant) -> Query[TicketState]:
    return Query(_LOCKED.where(visible_to(tenant), exists(select(membership(tenant).c.role))), TicketState)


_OPEN = by_actor(_opening)
_REMOVED = Query(_LOCKED.where(Ticket.removed_at.is_not(None)), TicketState)


async def open_ticket(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, expected: Expected = None
) -> TicketState:
    """Lock the user, the membership and the ticket in one statement, and return the current ticket.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions
        TicketNotFound: The user does not see it.
        VersionConflict: It does not have the expected version.
    """
    ticket = await work.row(_OPEN.of(tenant), acting_values(tenant, ticket_id=ticket_id))
    if ticket is None:
        await refuse_former_member(work, tenant)
        raise TicketNotFound
    if expected is not None and ticket.version not in expected:
        await _refuse_version(work, tenant, ticket, expected)
    return ticket


async def lock_removed(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> TicketState | None:
    """Lock and return a removed ticket of the company; None if it is not removed."""
    return await work.row(_REMOVED, values_of(tenant, ticket_id=ticket_id))


def last_seen(expected: frozenset[int], *, current: int) -> int:
    """The newest of the expected versions that has existed; otherwise the current version."""
    return max((version for version in expected if version < current), default=current)


async def _refuse_version(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, expected: frozenset[int]
) -> None:
    seen = last_seen(expected, current=ticket.version)
    changed = await fields_changed_since(work, tenant, ticket.id, seen)
    raise VersionConflict(version=ticket.version, changed_fields=changed)


_ASSIGNEE_IDS = Query(
    select(TicketAssignee.user_id)
    .where(TicketAssignee.company_id == COMPANY_ID, TicketAssignee.ticket_id == bindparam("ticket_id"))
    .order_by(TicketAssignee.position),
    UUID,
)


async def assignee_ids_of(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> Sequence[UUID]:
    """The assignees of a locked ticket, in order."""
    return await work.rows(_ASSIGNEE_IDS, values_of(tenant, ticket_id=ticket_id))
