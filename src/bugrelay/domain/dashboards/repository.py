"""SELECTs of companies and applications with the counts of their bugs.

Counts are taken from the bugs themselves, by index and only for what is shown, so they are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Integer, Text, Uuid, any_, bindparam, func, or_, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.bugs.schemas import ApplicationRef, CompanyRef, UserRef
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.domain.companies.models import Application, Company, Member
from bugrelay.domain.companies.visibility import members_visible_to
from bugrelay.domain.dashboards.schemas import (
    ApplicationOut,
    ApplicationQuery,
    BugStats,
    CompanyItem,
    CompanyOut,
    CompanyQuery,
    PublicMember,
)
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.db.like import contains
from bugrelay.infra.text.names import name_key

APPLICATIONS_SHOWN = 100

_ids = bindparam("ids", type_=ARRAY(Uuid))
_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


# --- counts of bugs ---------------------------------------------------------------------------------------------------


def _counts_by(column: Any) -> Query[Any]:
    return Query(
        select(column, Bug.status, func.count())
        .where(column == any_(_ids), LISTED)
        .group_by(column, Bug.status)
    )


_BY_COMPANY = _counts_by(Bug.assigned_company_id)
_BY_APPLICATION = _counts_by(Bug.application_id)


async def _stats(reader: Reader, query: Query[Any], ids: Sequence[UUID]) -> dict[UUID, BugStats]:
    found = {one: BugStats() for one in ids}
    for one, status, count in await reader.rows(query, {"ids": list(ids)}):
        setattr(found[one], status, count)
        found[one].total += count
    return found


# --- companies --------------------------------------------------------------------------------------------------------

_COMPANY_COLUMNS = (
    Company.id,
    Company.name,
    Company.domain,
    Company.verified,
    Company.verified_at,
    Company.url,
    Company.description,
    Company.description_html,
    Company.created_at,
    Company.updated_at,
)
_COMPANY_FILTERS: dict[str, ColumnElement[bool]] = {
    "search": or_(
        func.lower(Company.name).like(func.lower(bindparam("search", type_=Text))),
        Company.domain.like(func.lower(bindparam("search", type_=Text))),
    ),
    "verified": Company.verified == bindparam("verified"),
}


@lru_cache
def _company_queries(filters: tuple[str, ...]) -> tuple[Query[Any], Query[Any]]:
    """The page, by name, and the total."""
    conditions = [_COMPANY_FILTERS[name] for name in filters]
    page = select(*_COMPANY_COLUMNS).where(*conditions).order_by(func.lower(Company.name), Company.id)
    total = select(func.count()).select_from(Company).where(*conditions)
    return Query(page.limit(_limit).offset(_offset)), Query(total)


async def list_companies(reader: Reader, query: CompanyQuery) -> tuple[list[CompanyItem], int]:
    """A page of companies by name, and how many there are."""
    values: dict[str, Any] = {}
    if query.search is not None:
        values["search"] = contains(query.search)
    if query.verified is not None:
        values["verified"] = query.verified
    page, count = _company_queries(tuple(values))
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return await _with_figures(reader, rows), total[0] if total else 0


_named = (
    select(
        Application.company_id,
        Application.id,
        Application.name,
        Application.url,
        func.row_number()
        .over(partition_by=Application.company_id, order_by=(Application.name_key, Application.domain))
        .label("place"),
    )
    .where(Application.company_id == any_(_ids))
    .subquery("named")
)
_APPLICATIONS_OF = Query(
    select(_named.c.company_id, _named.c.id, _named.c.name, _named.c.url)
    .where(_named.c.place <= APPLICATIONS_SHOWN)
    .order_by(_named.c.company_id, _named.c.place)
)


async def _with_figures(reader: Reader, rows: Sequence[tuple[Any, ...]]) -> list[CompanyItem]:
    ids = [row[0] for row in rows]
    if not ids:
        return []
    stats = await _stats(reader, _BY_COMPANY, ids)
    applications: dict[UUID, list[ApplicationRef]] = {one: [] for one in ids}
    for company_id, application_id, name, url in await reader.rows(_APPLICATIONS_OF, {"ids": ids}):
        applications[company_id].append(ApplicationRef(application_id, name, url))
    return [_company_of(row, applications[row[0]], stats[row[0]]) for row in rows]


def _company_of(row: Sequence[Any], applications: list[ApplicationRef], stats: BugStats) -> CompanyItem:
    (
        company_id, name, domain, verified, verified_at, url, description, description_html, created_at, updated_at,
    ) = row  # fmt: skip
    return CompanyItem(
        id=company_id,
        name=name,
        domain=domain,
        verified=verified,
        verified_at=verified_at,
        url=url,
        description=description,
        description_html=description_html,
        created_at=created_at,
        updated_at=updated_at,
        applications=applications,
        bug_stats=stats,
    )


_COMPANY = Query(select(*_COMPANY_COLUMNS).where(Company.id == bindparam("company_id")))
_PUBLIC_MEMBERS = Query(
    select(User.id, User.username, Member.role)
    .join(Member, Member.user_id == User.id)
    .join(Company, Company.id == Member.company_id)
    .where(Company.id == bindparam("company_id"), members_visible_to(None))
    .order_by(Member.added_at, Member.id)
)


async def find_company(reader: Reader, company_id: UUID) -> CompanyOut | None:
    """One company with its members, who are public while it is verified."""
    row = await reader.row(_COMPANY, {"company_id": company_id})
    if row is None:
        return None
    (item,) = await _with_figures(reader, [row])
    members = [
        PublicMember(UserRef(user_id, username), role)
        for user_id, username, role in await reader.rows(_PUBLIC_MEMBERS, {"company_id": company_id})
    ]
    return CompanyOut(
        **{name: getattr(item, name) for name in CompanyItem.__struct_fields__}, members=members
    )


# --- applications -----------------------------------------------------------------------------------------------------

_APPLICATION = select(
    Application.id,
    Application.name,
    Application.url,
    Application.domain,
    Application.created_at,
    Application.updated_at,
    Company.id,
    Company.name,
    Company.domain,
    Company.verified,
).outerjoin(Company, Company.id == Application.company_id)
_APPLICATION_FILTERS: dict[str, ColumnElement[bool]] = {
    "search": Application.name_key.like(bindparam("search", type_=Text)),
    "company_id": Application.company_id == bindparam("company_id"),
}
_APPLICATION_QUERY = Query(_APPLICATION.where(Application.id == bindparam("application_id")))


@lru_cache
def _application_queries(filters: tuple[str, ...]) -> tuple[Query[Any], Query[Any]]:
    """The page, by name, and the total."""
    conditions = [_APPLICATION_FILTERS[name] for name in filters]
    page = _APPLICATION.where(*conditions).order_by(Application.name_key, Application.domain)
    total = select(func.count()).select_from(Application).where(*conditions)
    return Query(page.limit(_limit).offset(_offset)), Query(total)


async def list_applications(reader: Reader, query: ApplicationQuery) -> tuple[list[ApplicationOut], int]:
    """A page of applications by name (no two have the same name and domain), and how many there are."""
    values: dict[str, Any] = {}
    if query.search is not None:
        values["search"] = contains(name_key(query.search))
    if query.company_id is not None:
        values["company_id"] = query.company_id
    page, count = _application_queries(tuple(values))
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return await _applications_of(reader, rows), total[0] if total else 0


async def find_application(reader: Reader, application_id: UUID) -> ApplicationOut | None:
    row = await reader.row(_APPLICATION_QUERY, {"application_id": application_id})
    return (await _applications_of(reader, [row]))[0] if row else None


async def _applications_of(reader: Reader, rows: Sequence[tuple[Any, ...]]) -> list[ApplicationOut]:
    if not rows:
        return []
    stats = await _stats(reader, _BY_APPLICATION, [row[0] for row in rows])
    return [_application_of(row, stats[row[0]]) for row in rows]


def _application_of(row: Sequence[Any], stats: BugStats) -> ApplicationOut:
    (
        application_id, name, url, domain, created_at, updated_at,
        company_id, company_name, company_domain, company_verified,
    ) = row  # fmt: skip
    return ApplicationOut(
        id=application_id,
        name=name,
        url=url,
        domain=domain or None,
        company_id=company_id,
        company=CompanyRef(company_id, company_name, company_domain, company_verified)
        if company_id
        else None,
        created_at=created_at,
        updated_at=updated_at,
        bug_stats=stats,
    )
