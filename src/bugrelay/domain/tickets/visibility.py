"""Visibility of tickets: one condition for lists, details, counts, searches, attachments and changes.

Members and admins see all of their company that is not removed; nobody sees a removed ticket. Reporters see what they
reported or are assigned to, and all in projects with visibility `company`. The statements take `company_id` and
`user_id` as parameters, so they depend on the role's class alone: `by_sight` compiles one for each.

Internal comments and notes are for members and admins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, or_, select, true, union
from sqlalchemy.orm import aliased

from bugrelay.domain.companies.models import REPORTER
from bugrelay.domain.companies.schemas import Automation, Tenant
from bugrelay.domain.tickets.models import Project, Ticket, TicketAssignee, TicketComment
from bugrelay.infra.db.query import Row

COMPANY_ID = bindparam("company_id", type_=Uuid)
USER_ID = bindparam("user_id", type_=Uuid)

T = TypeVar("T")


def sees_all(tenant: Tenant) -> bool:
    """Members and admins: all tickets of the company, and internal data."""
    return tenant.role != REPORTER


def visible_to(tenant: Tenant) -> ColumnElement[bool]:
    """Tickets that the tenant's user sees."""
    listed = and_(Ticket.company_id == COMPANY_ID, Ticket.removed_at.is_(None))
    if sees_all(tenant):
        return listed
    # Under names of their own, for statements that read these tables as well. OFFSET 0: PostgreSQL looks for each
    # ticket's row, and does not read all tickets that the user is assigned to.
    mine, shared = aliased(TicketAssignee), aliased(Project)
    assigned = (
        select(mine.user_id)
        .where(mine.company_id == COMPANY_ID, mine.ticket_id == Ticket.id, mine.user_id == USER_ID)
        .offset(0)
        .exists()
    )
    open_to_all = select(shared.id).where(shared.company_id == COMPANY_ID, shared.visibility == "company")
    return and_(listed, or_(Ticket.reporter_id == USER_ID, Ticket.project_id.in_(open_to_all), assigned))


class TicketSight(Row):
    """Which reporters see a ticket, for many tickets at once; the same rule as `visible_to`.

    Attributes:
        is_open: Its project is open to all of the company.
    """

    ticket_id: UUID
    reporter_id: UUID
    assignee_ids: list[UUID]
    is_open: bool
    is_removed: bool

    def is_seen_by(self, user_id: UUID) -> bool:
        """Whether a reporter of the company sees the ticket."""
        return not self.is_removed and self.would_be_seen_by(user_id)

    def would_be_seen_by(self, user_id: UUID) -> bool:
        """The same, ignoring whether it was removed."""
        return self.is_open or user_id == self.reporter_id or user_id in self.assignee_ids


_listed = and_(Ticket.company_id == COMPANY_ID, Ticket.removed_at.is_(None))
_assigned = (TicketAssignee.company_id == COMPANY_ID) & (TicketAssignee.ticket_id == Ticket.id)
OWN_TICKETS = union(
    select(Ticket.id, Ticket.project_id).where(_listed, Ticket.reporter_id == USER_ID),
    select(Ticket.id, Ticket.project_id)
    .join(TicketAssignee, _assigned)
    .where(_listed, TicketAssignee.user_id == USER_ID),
).subquery("own_tickets")
"""What the user reported or is assigned to, each once; two indexes find it among any number of tickets."""


def projects_visible_to(tenant: Tenant) -> ColumnElement[bool]:
    """Projects that the tenant's user sees: reporters see open ones, and those with tickets that they see."""
    own = Project.company_id == COMPANY_ID
    if sees_all(tenant):
        return own
    projects = select(OWN_TICKETS.c.project_id)
    return and_(own, or_(Project.visibility == "company", Project.id.in_(projects)))


def comments_visible_to(tenant: Tenant) -> ColumnElement[bool]:
    """Comments of a visible ticket."""
    shown = and_(TicketComment.company_id == COMPANY_ID, TicketComment.removed_at.is_(None))
    return and_(shown, true() if sees_all(tenant) else TicketComment.is_internal.is_(False))


_NOBODY = UUID(int=0)
_ALL = Tenant(_NOBODY, _NOBODY, "member")
_OWN = Tenant(_NOBODY, _NOBODY, "reporter")
_AUTOMATION = Automation(_NOBODY)


@dataclass(frozen=True)
class BySight(Generic[T]):
    """A value for users who see all tickets, and one for users who see their own."""

    all: T
    own: T

    def of(self, tenant: Tenant) -> T:
        return self.all if sees_all(tenant) else self.own


@dataclass(frozen=True)
class ByActor(BySight[T]):
    """The same for changes, with a third value for automations."""

    automation: T

    def of(self, tenant: Tenant) -> T:
        return self.automation if isinstance(tenant, Automation) else super().of(tenant)


def by_sight(make: Callable[[Tenant], T]) -> BySight[T]:
    """A value that depends on what a tenant's user sees, created once for each class."""
    return BySight(make(_ALL), make(_OWN))


def by_actor(make: Callable[[Tenant], T]) -> ByActor[T]:
    """A value that depends on who acts, a user or an automation, and on what they see; created once for each class."""
    return ByActor(make(_ALL), make(_OWN), make(_AUTOMATION))
