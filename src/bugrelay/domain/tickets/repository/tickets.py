"""SELECTs of tickets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, any_, bindparam, func, null, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import Project, Ticket, TicketKey
from bugrelay.domain.tickets.repository.columns import (
    NAME,
    assignees,
    decoded_links,
    decoded_users,
    links,
    values_of,
)
from bugrelay.domain.tickets.schemas import ProjectRef, TicketDetail, TicketSubscription, TicketUser
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID, by_sight, sees_all, visible_to
from bugrelay.infra.db.query import Query, Reader, Row


class DetailRow(Row):
    """A ticket with its project and its users."""

    id: UUID
    key: str
    kind: str
    title: str
    description: str
    description_html: str
    status: str
    category: str
    priority: str
    department: str | None
    tags: list[str]
    attachment_count: int
    resolution_notes: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    project_id: UUID
    reporter_id: UUID
    comment_count: int
    internal_notes: str | None
    project_key: str
    project_name: str
    username: str
    name: str
    assignees: str
    links: str | None


class _FollowedRow(DetailRow):
    """The same with the reader's subscription."""

    level: Any
    reason: Any


_PLAIN = [
    getattr(Ticket, name)
    for name in DetailRow.__struct_fields__[: DetailRow.__struct_fields__.index("comment_count")]
]


def details(tenant: Tenant) -> Select[Any]:
    """The tickets that the tenant's user sees, without data that they may not see."""
    comments: Any = Ticket.comment_count
    notes: Any = null()
    if sees_all(tenant):
        comments, notes = Ticket.comment_count + Ticket.internal_comment_count, Ticket.internal_notes
    return (
        select(
            *_PLAIN,
            comments.label("comment_count"),
            notes.label("internal_notes"),
            Project.key.label("project_key"),
            Project.name.label("project_name"),
            User.username,
            NAME.label("name"),
            assignees(),
            links(),
        )
        .select_from(Ticket)
        .join(Project, (Project.company_id == COMPANY_ID) & (Project.id == Ticket.project_id))
        .join(User, User.id == Ticket.reporter_id)
        .where(visible_to(tenant))
    )


def _followed(tenant: Tenant) -> Select[Any]:
    """The same with the subscription of the tenant's user."""
    followed = func.ticket_subscription(COMPANY_ID, Ticket.id, USER_ID).table_valued(
        "level", "reason", name="followed"
    )
    return details(tenant).outerjoin(followed, true()).add_columns(followed.c.level, followed.c.reason)


_BY_ID = by_sight(
    lambda tenant: Query(_followed(tenant).where(Ticket.id == bindparam("ticket_id")), _FollowedRow)
)
_BY_IDS = by_sight(
    lambda tenant: Query(
        details(tenant).where(Ticket.id == any_(bindparam("ids", type_=ARRAY(Uuid)))), DetailRow
    )
)


_BY_KEY = by_sight(
    lambda tenant: Query(
        _followed(tenant)
        .join(TicketKey, (TicketKey.company_id == COMPANY_ID) & (TicketKey.ticket_id == Ticket.id))
        .where(TicketKey.key == bindparam("key")),
        _FollowedRow,
    )
)


async def find_ticket_named(reader: Reader, tenant: Tenant, name: UUID | str) -> TicketDetail | None:
    """A ticket that the tenant's user sees, by its id, or by a key that it has or had."""
    if isinstance(name, UUID):
        return await find_ticket(reader, tenant, name)
    row = await reader.row(_BY_KEY.of(tenant), values_of(tenant, key=name))
    return _followed_detail(row) if row else None


async def find_ticket(reader: Reader, tenant: Tenant, ticket_id: UUID) -> TicketDetail | None:
    """A ticket that the tenant's user sees."""
    row = await reader.row(_BY_ID.of(tenant), values_of(tenant, ticket_id=ticket_id))
    return _followed_detail(row) if row else None


async def listed_tickets(reader: Reader, tenant: Tenant, ids: Sequence[UUID]) -> list[TicketDetail]:
    """These tickets, in the given order, without those that the user does not see."""
    if not ids:
        return []
    found = await reader.rows(_BY_IDS.of(tenant), values_of(tenant, ids=list(ids)))
    rows = {row.id: row for row in found}
    return [detail_of(rows[ticket_id]) for ticket_id in ids if ticket_id in rows]


def _followed_detail(row: _FollowedRow) -> TicketDetail:
    detail = detail_of(row)
    detail.subscription = TicketSubscription(row.level, row.reason) if row.level else None
    return detail


def detail_of(row: DetailRow) -> TicketDetail:
    return TicketDetail(
        id=row.id,
        key=row.key,
        kind=row.kind,
        title=row.title,
        description=row.description,
        description_html=row.description_html,
        status=row.status,
        category=row.category,
        priority=row.priority,
        project=ProjectRef(row.project_id, row.project_key, row.project_name),
        department=row.department,
        reporter=TicketUser(row.reporter_id, row.username, row.name),
        assignees=decoded_users(row.assignees),
        tags=row.tags,
        links=decoded_links(row.links) if row.links else [],
        comment_count=row.comment_count,
        attachment_count=row.attachment_count,
        internal_notes=row.internal_notes,
        resolution_notes=row.resolution_notes,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        resolved_at=row.resolved_at,
    )


class FoundTicket(Row):
    """The ticket that a path names; with an old key if it was moved."""

    id: UUID
    key: str


_FOUND = select(Ticket.id, Ticket.key).select_from(Ticket)
_OF_KEY = (TicketKey.company_id == COMPANY_ID) & (TicketKey.ticket_id == Ticket.id)
_FIND_ID = by_sight(
    lambda tenant: Query(_FOUND.where(visible_to(tenant), Ticket.id == bindparam("ticket_id")), FoundTicket)
)
_FIND_KEY = by_sight(
    lambda tenant: Query(
        _FOUND.join(TicketKey, _OF_KEY).where(visible_to(tenant), TicketKey.key == bindparam("key")),
        FoundTicket,
    )
)


_OF_SCHEME = by_sight(
    lambda tenant: Query(
        select(Ticket.id)
        .join(Project, (Project.company_id == COMPANY_ID) & (Project.id == Ticket.project_id))
        .where(
            visible_to(tenant), Ticket.id == bindparam("ticket_id"), Project.scheme == bindparam("scheme")
        ),
        UUID,
    )
)


async def has_ticket_of_scheme(reader: Reader, tenant: Tenant, ticket_id: UUID, *, scheme: str) -> bool:
    """Whether the tenant's user sees this ticket, and it is in a project with this scheme."""
    values = values_of(tenant, ticket_id=ticket_id, scheme=scheme)
    return await reader.row(_OF_SCHEME.of(tenant), values) is not None


_OF_COMPANY = _FOUND.where(Ticket.company_id == COMPANY_ID)
_ANY_ID = Query(_OF_COMPANY.where(Ticket.id == bindparam("ticket_id")), FoundTicket)
_ANY_KEY = Query(_OF_COMPANY.join(TicketKey, _OF_KEY).where(TicketKey.key == bindparam("key")), FoundTicket)


async def removed_or_not(reader: Reader, tenant: Tenant, name: UUID | str) -> FoundTicket | None:
    """The same for all tickets of the company, removed ones included; for its admins."""
    if isinstance(name, UUID):
        return await reader.row(_ANY_ID, values_of(tenant, ticket_id=name))
    return await reader.row(_ANY_KEY, values_of(tenant, key=name))


async def ticket_named(reader: Reader, tenant: Tenant, name: UUID | str) -> FoundTicket | None:
    """A ticket that the tenant's user sees, by its id, or by a key that it has or had."""
    if isinstance(name, UUID):
        return await reader.row(_FIND_ID.of(tenant), values_of(tenant, ticket_id=name))
    return await reader.row(_FIND_KEY.of(tenant), values_of(tenant, key=name))
