"""Applications with their company and the counts of their bugs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Text, bindparam, func, select

from bugrelay.domain.bugs.schemas import CompanyRef
from bugrelay.domain.companies.models import Application, Company
from bugrelay.domain.dashboards.repository.bug_counts import BY_APPLICATION, bug_stats
from bugrelay.domain.dashboards.schemas import ApplicationOut, ApplicationQuery, BugStats
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.text.names import name_key

_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


class _ApplicationRow(Row):
    """The company is null together with its id."""

    id: UUID
    name: str
    url: str | None
    domain: str
    created_at: datetime
    updated_at: datetime
    company_id: UUID | None
    company_name: str
    company_domain: str
    company_verified: bool


_APPLICATION = select(
    Application.id,
    Application.name,
    Application.url,
    Application.domain,
    Application.created_at,
    Application.updated_at,
    Company.id.label("company_id"),
    Company.name.label("company_name"),
    Company.domain.label("company_domain"),
    Company.verified.label("company_verified"),
).outerjoin(Company, Company.id == Application.company_id)
_APPLICATION_FILTERS: dict[str, ColumnElement[bool]] = {
    "search": Application.name_key.like(bindparam("search", type_=Text)),
    "company_id": Application.company_id == bindparam("company_id"),
}
_APPLICATION_QUERY = Query(_APPLICATION.where(Application.id == bindparam("application_id")), _ApplicationRow)


@lru_cache
def _application_queries(filters: tuple[str, ...]) -> tuple[Query[_ApplicationRow], Query[int]]:
    """The page, by name, and the total."""
    conditions = [_APPLICATION_FILTERS[name] for name in filters]
    page = _APPLICATION.where(*conditions).order_by(Application.name_key, Application.domain)
    total = select(func.count()).select_from(Application).where(*conditions)
    return Query(page.limit(_limit).offset(_offset), _ApplicationRow), Query(total, int)


async def list_applications(reader: Reader, query: ApplicationQuery) -> tuple[list[ApplicationOut], int]:
    """A page of applications by name and domain, and their total."""
    values: dict[str, Any] = {}
    if query.search is not None:
        values["search"] = contains(name_key(query.search))
    if query.company_id is not None:
        values["company_id"] = query.company_id
    page, count = _application_queries(tuple(values))
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return await _applications_of(reader, rows), total or 0


async def find_application(reader: Reader, application_id: UUID) -> ApplicationOut | None:
    row = await reader.row(_APPLICATION_QUERY, {"application_id": application_id})
    return (await _applications_of(reader, [row]))[0] if row else None


async def _applications_of(reader: Reader, rows: Sequence[_ApplicationRow]) -> list[ApplicationOut]:
    if not rows:
        return []
    stats = await bug_stats(reader, BY_APPLICATION, [row.id for row in rows])
    return [_application_of(row, stats[row.id]) for row in rows]


def _application_of(row: _ApplicationRow, stats: BugStats) -> ApplicationOut:
    company = None
    if row.company_id is not None:
        company = CompanyRef(row.company_id, row.company_name, row.company_domain, row.company_verified)
    return ApplicationOut(
        id=row.id,
        name=row.name,
        url=row.url,
        domain=row.domain or None,
        company_id=row.company_id,
        company=company,
        created_at=row.created_at,
        updated_at=row.updated_at,
        bug_stats=stats,
    )
