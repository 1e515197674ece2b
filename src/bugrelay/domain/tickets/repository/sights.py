"""Who sees which tickets, for callers that notify many users about many tickets."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, cast, func, literal_column, select

from bugrelay.domain.tickets.models import Project, Ticket, TicketAssignee
from bugrelay.domain.tickets.visibility import COMPANY_ID, TicketSight
from bugrelay.infra.db.query import Query, Reader

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_ASSIGNEES = (
    select(func.array_agg(TicketAssignee.user_id))
    .where(TicketAssignee.company_id == COMPANY_ID, TicketAssignee.ticket_id == Ticket.id)
    .correlate(Ticket)
    .scalar_subquery()
)
_NOBODY = cast(literal_column("'{}'"), ARRAY(Uuid))
_SIGHTS = Query(
    select(
        Ticket.id.label("ticket_id"),
        Ticket.reporter_id,
        func.coalesce(_ASSIGNEES, _NOBODY).label("assignee_ids"),
        (Project.visibility == "company").label("is_open"),
        Ticket.removed_at.is_not(None).label("is_removed"),
    )
    .select_from(Ticket)
    .join(Project, (Project.company_id == COMPANY_ID) & (Project.id == Ticket.project_id))
    .where(Ticket.company_id == COMPANY_ID, Ticket.id == any_(_IDS)),
    TicketSight,
)
_OPEN_PROJECTS = Query(
    select(Project.id).where(
        Project.company_id == COMPANY_ID, Project.id == any_(_IDS), Project.visibility == "company"
    ),
    UUID,
)


async def ticket_sights(
    reader: Reader, company_id: UUID, ticket_ids: Collection[UUID]
) -> Sequence[TicketSight]:
    """Which users see these tickets of a company, removed ones included."""
    return await reader.rows(_SIGHTS, {"company_id": company_id, "ids": list(ticket_ids)})


async def open_projects(reader: Reader, company_id: UUID, project_ids: Collection[UUID]) -> Sequence[UUID]:
    """Those of these projects that all users of the company see."""
    return await reader.rows(_OPEN_PROJECTS, {"company_id": company_id, "ids": list(project_ids)})
