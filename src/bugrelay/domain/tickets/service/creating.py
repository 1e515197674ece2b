"""Create a ticket, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    column,
    exists,
    func,
    insert,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import Member
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.errors import ProjectArchived, ProjectNotFound
from bugrelay.domain.tickets.events import TicketCreated
from bugrelay.domain.tickets.models import Project, Ticket, TicketAssignee, TicketKey
from bugrelay.domain.tickets.repository.columns import NAME, decoded_users, users_json
from bugrelay.domain.tickets.repository.projects import project_of_key, share_project
from bugrelay.domain.tickets.schemas import (
    NewTicket,
    ProjectRef,
    TicketDetail,
    TicketSubscription,
    TicketUser,
)
from bugrelay.domain.tickets.schemes import SCHEMES, as_rows
from bugrelay.domain.tickets.service.acting import acting_values, membership, refuse_former_member
from bugrelay.domain.tickets.service.numbers import key_of, next_number, schemes_table
from bugrelay.domain.tickets.service.projects import make_default_project
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID, by_sight, projects_visible_to
from bugrelay.errors import FieldProblem, InsufficientPermissions, ServiceUnavailable, ValidationFailed
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.markdown import render

_ASSIGNEE_IDS = bindparam("assignee_ids", type_=ARRAY(Uuid))
_ASSIGNED = (
    func.unnest(_ASSIGNEE_IDS)
    .table_valued(column("user_id", Uuid), with_ordinality="position", name="assigned")
    .render_derived()
)


class _Written(Row):
    """What the statement returns: what it has read or generated."""

    key: str
    kind: str
    status: str
    category: str
    created_at: datetime
    project_id: UUID
    project_key: str
    project_name: str
    username: str
    name: str
    level: Any
    assignees: str


def active_members(ids: ColumnElement[Any]) -> Select[UUID]:
    """Those of these users who are active in the company, in any role."""
    return (
        select(Member.user_id)
        .join(User, User.id == Member.user_id)
        .where(Member.company_id == COMPANY_ID, Member.user_id == any_(ids), EFFECTIVE, ACTIVE)
    )


def _statement(condition: ColumnElement[bool]) -> Query[_Written]:
    """Locks user, membership and project, takes a number, and inserts; no row if the ticket may not be created.

    Each part reads the one before, so that they run in this order.
    """
    project = _locked_project(condition)
    ticket = _insert_ticket(project, next_number(project))
    key = insert(TicketKey).from_select(
        ["company_id", "key", "ticket_id"], select(COMPANY_ID, ticket.c.key, ticket.c.id)
    )
    assignees = insert(TicketAssignee).from_select(
        ["company_id", "ticket_id", "user_id", "position"],
        select(COMPANY_ID, ticket.c.id, _ASSIGNED.c.user_id, _ASSIGNED.c.position).join(_ASSIGNED, true()),
    )
    people = (
        select(users_json(_ASSIGNED.c.position))
        .select_from(_ASSIGNED)
        .join(User, User.id == _ASSIGNED.c.user_id)
        .scalar_subquery()
    )
    written = (
        select(
            ticket.c.key,
            ticket.c.kind,
            ticket.c.status,
            ticket.c.category,
            ticket.c.created_at,
            project.c.id.label("project_id"),
            project.c.key.label("project_key"),
            project.c.project_name,
            User.username,
            NAME.label("name"),
            func.default_level(USER_ID).label("level"),
            people.label("assignees"),
        )
        .select_from(ticket)
        .join(project, true())
        .join(User, User.id == USER_ID)
        .add_cte(key.cte("keys"), assignees.cte("assignees"))
    )
    return Query(written, _Written)


def _locked_project(condition: ColumnElement[bool]) -> CTE:
    """The project under a shared lock, if the user is a member and all assignees are active."""
    member, scheme = membership(), schemes_table()
    active = select(func.count()).select_from(active_members(_ASSIGNEE_IDS).subquery()).scalar_subquery()
    return (
        select(Project.id, Project.key, Project.name.label("project_name"), scheme)
        .join(scheme, scheme.c.name == Project.scheme)
        .where(Project.company_id == COMPANY_ID, Project.archived_at.is_(None), condition)
        .where(exists(select(member.c.role)), func.cardinality(_ASSIGNEE_IDS) == active)
        .with_for_update(read=True, of=Project)
        .cte("project")
    )


def _insert_ticket(project: CTE, number: CTE) -> CTE:
    given = {name: bindparam(name, type_=getattr(Ticket, name).type) for name in _GIVEN}
    values: dict[str, Any] = {
        "company_id": COMPANY_ID,
        "project_id": project.c.id,
        "number": number.c.last_number,
        "key": key_of(project, number),
        "kind": func.coalesce(bindparam("kind", type_=Text), project.c.kind),
        "status": project.c.status,
        "category": project.c.category,
        "reporter_id": USER_ID,
        **given,
    }
    row = select(*values.values()).select_from(project).join(number, true())
    return (
        insert(Ticket)
        .from_select(list(values), row, include_defaults=False)
        .returning(Ticket.id, Ticket.key, Ticket.kind, Ticket.status, Ticket.category, Ticket.created_at)
        .cte("ticket")
    )


_GIVEN = ("id", "title", "description", "description_html", "priority", "department", "tags")
_IN_DEFAULT = _statement(Project.key == bindparam("project_key"))
_IN_NAMED = by_sight(
    lambda tenant: _statement(and_(Project.id == bindparam("project_id"), projects_visible_to(tenant)))
)


async def create_ticket(work: UnitOfWork, tenant: Tenant, wanted: NewTicket) -> TicketDetail:
    """Create a ticket. Without a project it is in the default project of its scheme, which is created at first use.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, ProjectNotFound, ProjectArchived
        InsufficientPermissions: A reporter has named assignees.
        ValidationFailed: An assignee is not active in the company.
    """
    if wanted.assignee_ids and not policies.may_triage(tenant):
        raise InsufficientPermissions("Only members of the company may assign a ticket")
    ticket_id, description_html = new_id(), render(wanted.description)
    values = acting_values(
        tenant,
        id=ticket_id,
        schemes=msgspec.json.encode(as_rows()).decode(),
        project_id=wanted.project_id,
        project_key=SCHEMES[wanted.scheme].project_key,
        kind=wanted.kind,
        title=wanted.title,
        description=wanted.description,
        description_html=description_html,
        priority=wanted.priority,
        department=wanted.department,
        tags=wanted.tags,
        assignee_ids=wanted.assignee_ids,
    )
    statement = _IN_DEFAULT if wanted.project_id is None else _IN_NAMED.of(tenant)
    written = await work.row(statement, values)
    if written is None:
        await _make_possible(work, tenant, wanted)
        written = await work.row(statement, values)
    if written is None:
        raise ServiceUnavailable  # the obstacle has disappeared since; a retry will succeed
    work.record(_fact(ticket_id, tenant, wanted, written))
    return _detail(ticket_id, tenant, wanted, written, description_html=description_html)


async def _make_possible(work: UnitOfWork, tenant: Tenant, wanted: NewTicket) -> None:
    """Create the default project if it is missing; raise the error for anything else that prevents the ticket.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectNotFound, ProjectArchived
        ValidationFailed
    """
    await refuse_former_member(work, tenant)
    await refuse_inactive(work, tenant, wanted.assignee_ids)
    if wanted.project_id is not None:
        project = await share_project(work, tenant, wanted.project_id)
        if project is None:
            raise ProjectNotFound
    else:
        scheme = SCHEMES[wanted.scheme]
        project = await project_of_key(work, tenant, scheme.project_key)
        if project is None:
            await make_default_project(work, tenant, scheme)
            return
    if project.archived_at is not None:
        raise ProjectArchived


_ACTIVE_MEMBERS = Query(active_members(_ASSIGNEE_IDS), UUID)


async def refuse_inactive(
    work: UnitOfWork, tenant: Tenant, assignee_ids: Sequence[UUID], *, except_for: Sequence[UUID] = ()
) -> None:
    """Raises:
    ValidationFailed: Names each assignee who is not active in the company.
    """
    if not assignee_ids:
        return
    values = {"company_id": tenant.company_id, "assignee_ids": list(assignee_ids)}
    active = {*except_for, *await work.rows(_ACTIVE_MEMBERS, values)}
    problems = [
        FieldProblem(f"assignee_ids[{position}]", "must be an active member of the company")
        for position, user_id in enumerate(assignee_ids)
        if user_id not in active
    ]
    if problems:
        raise ValidationFailed(problems)


def _fact(ticket_id: UUID, tenant: Tenant, wanted: NewTicket, written: _Written) -> TicketCreated:
    return TicketCreated(
        ticket_id=ticket_id,
        company_id=tenant.company_id,
        project_id=written.project_id,
        key=written.key,
        kind=written.kind,
        status=written.status,
        category=written.category,
        priority=wanted.priority,
        version=1,
        actor_id=tenant.actor_id,
    )


def _detail(
    ticket_id: UUID, tenant: Tenant, wanted: NewTicket, written: _Written, *, description_html: str
) -> TicketDetail:
    """The ticket, without reading it again."""
    return TicketDetail(
        id=ticket_id,
        key=written.key,
        kind=written.kind,
        title=wanted.title,
        description=wanted.description,
        description_html=description_html,
        status=written.status,
        category=written.category,
        priority=wanted.priority,
        project=ProjectRef(written.project_id, written.project_key, written.project_name),
        department=wanted.department,
        reporter=TicketUser(tenant.user_id, written.username, written.name),
        assignees=decoded_users(written.assignees),
        tags=wanted.tags,
        links=[],
        comment_count=0,
        attachment_count=0,
        internal_notes=None,
        resolution_notes=None,
        version=1,
        created_at=written.created_at,
        updated_at=written.created_at,
        resolved_at=None,
        subscription=TicketSubscription(written.level, "reported"),
    )
