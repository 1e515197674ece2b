"""SELECTs of projects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, cast, func, select, text

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.models import Project, TicketNumber
from bugrelay.domain.tickets.repository.columns import values_of
from bugrelay.domain.tickets.repository.counts import COUNTS
from bugrelay.domain.tickets.schemas import ProjectDetail
from bugrelay.domain.tickets.visibility import (
    COMPANY_ID,
    OWN_TICKETS,
    BySight,
    by_sight,
    projects_visible_to,
    sees_all,
)
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

_NAMES = ("id", "key", "name", "description", "scheme", "visibility")
_REST = ("archived_at", "version", "created_at", "updated_at")


_all = (
    select(func.coalesce(cast(func.sum(COUNTS.c["count"]), Integer), 0))
    .where(COUNTS.c.project_id == Project.id)
    .correlate(Project)
    .scalar_subquery()
)
_own = select(func.count()).where(OWN_TICKETS.c.project_id == Project.id).correlate(Project).scalar_subquery()


def _projects(tenant: Tenant) -> Select[Any]:
    """Projects with the number of tickets that the reader sees."""
    count = _all if sees_all(tenant) else case((Project.visibility == "company", _all), else_=_own)
    return select(
        *(getattr(Project, name) for name in _NAMES),
        count.label("ticket_count"),
        *(getattr(Project, name) for name in _REST),
    ).where(projects_visible_to(tenant))


def _page(tenant: Tenant) -> Query[ProjectDetail]:
    page = _projects(tenant).order_by(Project.key, Project.id)
    page = page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))
    return Query(page, ProjectDetail)


_PAGE = by_sight(_page)
_TOTAL = by_sight(
    lambda tenant: Query(select(func.count()).select_from(Project).where(projects_visible_to(tenant)), int)
)


def _named(by: ColumnElement[bool]) -> BySight[Query[ProjectDetail]]:
    return by_sight(lambda tenant: Query(_projects(tenant).where(by), ProjectDetail))


_BY_ID = _named(Project.id == bindparam("project_id"))
_BY_KEY = _named(Project.key == bindparam("key"))


async def list_projects(
    reader: Reader, tenant: Tenant, query: PageQuery
) -> tuple[Sequence[ProjectDetail], int]:
    """A page of the projects that the tenant's user sees, ordered by key, and their number."""
    total = await reader.row(_TOTAL.of(tenant), values_of(tenant))
    page = values_of(tenant, limit=query.limit, offset=query.offset)
    return await reader.rows(_PAGE.of(tenant), page), total or 0


async def find_project(reader: Reader, tenant: Tenant, name: UUID | str) -> ProjectDetail | None:
    """A project that the tenant's user sees, by its id or key."""
    if isinstance(name, UUID):
        return await reader.row(_BY_ID.of(tenant), values_of(tenant, project_id=name))
    return await reader.row(_BY_KEY.of(tenant), values_of(tenant, key=name))


class ProjectState(Row):
    """The columns of a project that changes of it, and new tickets in it, depend on."""

    id: UUID
    key: str
    name: str
    description: str | None
    scheme: str
    visibility: str
    version: int
    archived_at: datetime | None


_STATE = select(*(getattr(Project, name) for name in ProjectState.__struct_fields__)).where(
    Project.company_id == COMPANY_ID
)
_OF_ID = _STATE.where(Project.id == bindparam("project_id"))
_LOCK = Query(_OF_ID.with_for_update(), ProjectState)
_SHARE = by_sight(
    lambda tenant: Query(
        _OF_ID.where(projects_visible_to(tenant)).with_for_update(read=True, of=Project), ProjectState
    )
)
_OF_KEY = Query(_STATE.where(Project.key == bindparam("key")), ProjectState)


async def lock_project(reader: Reader, tenant: Tenant, project_id: UUID) -> ProjectState | None:
    """The locked project; creating tickets in it waits."""
    return await reader.row(_LOCK, values_of(tenant, project_id=project_id))


async def share_project(reader: Reader, tenant: Tenant, project_id: UUID) -> ProjectState | None:
    """A project that the tenant's user sees, under a shared lock: it cannot be archived meanwhile."""
    return await reader.row(_SHARE.of(tenant), values_of(tenant, project_id=project_id))


async def project_of_key(reader: Reader, tenant: Tenant, key: str) -> ProjectState | None:
    """The company's project with this key, whether or not the user sees it."""
    return await reader.row(_OF_KEY, values_of(tenant, key=key))


_HAS_NUMBERS = Query(
    select(TicketNumber.project_id)
    .where(TicketNumber.company_id == COMPANY_ID, TicketNumber.project_id == bindparam("project_id"))
    .limit(1),
    UUID,
)


async def has_had_tickets(reader: Reader, tenant: Tenant, project_id: UUID) -> bool:
    """Whether any ticket has or had a key of this project."""
    return await reader.row(_HAS_NUMBERS, values_of(tenant, project_id=project_id)) is not None


_CHANGED = Query(
    text(
        "SELECT DISTINCT f.field FROM events e, jsonb_array_elements_text(e.data -> 'fields') AS f(field)"
        " WHERE e.stream = :company_id AND e.project_id = :project_id AND e.type = 'project.changed'"
        " AND e.version > :version ORDER BY 1"
    ),
    str,
)


async def project_fields_changed_since(
    reader: Reader, tenant: Tenant, project_id: UUID, version: int
) -> Sequence[str]:
    """The fields of a project that have changed after a version, by the event log."""
    return await reader.rows(_CHANGED, values_of(tenant, project_id=project_id, version=version))
