"""Move a ticket to another project, where it gets a new key; the old key redirects to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, Text, Uuid, bindparam, insert, select, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import ProjectArchived, ProjectNotFound
from bugrelay.domain.tickets.events import TicketStatusChanged
from bugrelay.domain.tickets.models import Ticket, TicketKey
from bugrelay.domain.tickets.repository.columns import values_of
from bugrelay.domain.tickets.repository.projects import share_project
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.domain.tickets.schemes import SCHEMES, Scheme
from bugrelay.domain.tickets.service.numbers import key_of, next_number
from bugrelay.domain.tickets.visibility import COMPANY_ID
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork


def _statement() -> Query[str]:
    """Takes a number of the new project, and gives the ticket its key there."""
    project = select(
        bindparam("project_id", type_=Uuid).label("id"),
        bindparam("project_key", type_=Text).label("key"),
        bindparam("first_number", type_=Integer).label("first_number"),
        bindparam("by_year", type_=Boolean).label("by_year"),
        bindparam("number_width", type_=Integer).label("number_width"),
    ).cte("project")
    number = next_number(project)
    ticket = (
        update(Ticket)
        .where(Ticket.company_id == COMPANY_ID, Ticket.id == bindparam("ticket_id"))
        .values(
            project_id=project.c.id,
            number=number.c.last_number,
            key=key_of(project, number),
            status=bindparam("new_status", type_=Text),
            kind=bindparam("new_kind", type_=Text),
        )
        .returning(Ticket.id, Ticket.key)
        .cte("ticket")
    )
    key = insert(TicketKey).from_select(
        ["company_id", "key", "ticket_id"], select(COMPANY_ID, ticket.c.key, ticket.c.id)
    )
    return Query(select(ticket.c.key).add_cte(key.cte("keys")), str)


_MOVE = _statement()


async def move_ticket(
    work: UnitOfWork, tenant: Tenant, ticket: TicketState, *, project_id: UUID
) -> dict[str, tuple[Any, Any]]:
    """Move a locked ticket, after all other changes: the number of the new project is the last lock.

    A ticket from another scheme keeps its category, and gets that category's first status.

    Returns:
        The other fields that have changed, with their old and new values.

    Raises:
        ProjectNotFound, ProjectArchived
    """
    project = await share_project(work, tenant, project_id)
    if project is None:
        raise ProjectNotFound
    if project.archived_at is not None:
        raise ProjectArchived
    scheme = SCHEMES[project.scheme]
    status, kind = _translated(ticket, scheme)
    values = values_of(
        tenant,
        ticket_id=ticket.id,
        project_id=project.id,
        project_key=project.key,
        first_number=scheme.first_number,
        by_year=scheme.by_year,
        number_width=scheme.number_width,
        new_status=status,
        new_kind=kind,
    )
    key = await work.row(_MOVE, values)
    if status != ticket.status:
        work.record(
            TicketStatusChanged(
                ticket_id=ticket.id,
                company_id=tenant.company_id,
                project_id=project.id,
                old=ticket.status,
                new=status,
                category=ticket.category,
                version=ticket.version + 1,
                actor_id=tenant.actor_id,
            )
        )
    moved = {"key": (ticket.key, key), "kind": (ticket.kind, kind)}
    return {name: (old, new) for name, (old, new) in moved.items() if old != new}


def _translated(ticket: TicketState, scheme: Scheme) -> tuple[str, str]:
    """The status and the kind in the new scheme."""
    if scheme.name == ticket.scheme:
        return ticket.status, ticket.kind
    return scheme.status_like(ticket.category), scheme.kinds[0]
