"""Companies with their applications and the counts of their bugs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Integer, Text, any_, bindparam, func, or_, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.schemas import ApplicationRef, UserRef
from bugrelay.domain.companies.models import Application, Company, Member
from bugrelay.domain.companies.schemas import TeamRole
from bugrelay.domain.companies.visibility import members_visible_to
from bugrelay.domain.dashboards.repository.bug_counts import BY_COMPANY, IDS, bug_stats
from bugrelay.domain.dashboards.schemas import CompanyItem, CompanyOut, CompanyQuery, PublicMember
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.text.markdown import RenderedHtml

APPLICATIONS_SHOWN = 100

_limit, _offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


class _CompanyRow(Row):
    id: UUID
    name: str
    domain: str
    verified: bool
    verified_at: datetime | None
    url: str | None
    description: str | None
    description_html: RenderedHtml | None
    created_at: datetime
    updated_at: datetime


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
def _company_queries(filters: tuple[str, ...]) -> tuple[Query[_CompanyRow], Query[int]]:
    """The page, by name, and the total."""
    conditions = [_COMPANY_FILTERS[name] for name in filters]
    page = select(*_COMPANY_COLUMNS).where(*conditions).order_by(func.lower(Company.name), Company.id)
    total = select(func.count()).select_from(Company).where(*conditions)
    return Query(page.limit(_limit).offset(_offset), _CompanyRow), Query(total, int)


async def list_companies(reader: Reader, query: CompanyQuery) -> tuple[list[CompanyItem], int]:
    """A page of companies by name, and their total."""
    values: dict[str, Any] = {}
    if query.search is not None:
        values["search"] = contains(query.search)
    if query.verified is not None:
        values["verified"] = query.verified
    page, count = _company_queries(tuple(values))
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return await _with_bug_stats(reader, rows), total or 0


class _ApplicationRow(Row):
    company_id: UUID
    id: UUID
    name: str
    url: str | None


_named = (
    select(
        Application.company_id,
        Application.id,
        Application.name,
        Application.url,
        func.row_number()
        .over(partition_by=Application.company_id, order_by=(Application.name_key, Application.domain))
        .label("rank"),
    )
    .where(Application.company_id == any_(IDS))
    .subquery("named")
)
_APPLICATIONS_OF = Query(
    select(_named.c.company_id, _named.c.id, _named.c.name, _named.c.url)
    .where(_named.c.rank <= APPLICATIONS_SHOWN)
    .order_by(_named.c.company_id, _named.c.rank),
    _ApplicationRow,
)


async def _with_bug_stats(reader: Reader, rows: Sequence[_CompanyRow]) -> list[CompanyItem]:
    ids = [row.id for row in rows]
    if not ids:
        return []
    stats = await bug_stats(reader, BY_COMPANY, ids)
    applications: dict[UUID, list[ApplicationRef]] = {one: [] for one in ids}
    for row in await reader.rows(_APPLICATIONS_OF, {"ids": ids}):
        applications[row.company_id].append(ApplicationRef(row.id, row.name, row.url))
    return [
        CompanyItem(**asdict(row), applications=applications[row.id], bug_stats=stats[row.id]) for row in rows
    ]


class _MemberRow(Row):
    id: UUID
    username: str
    role: TeamRole


_COMPANY = Query(select(*_COMPANY_COLUMNS).where(Company.id == bindparam("company_id")), _CompanyRow)
_PUBLIC_MEMBERS = Query(
    select(User.id, User.username, Member.role)
    .join(Member, Member.user_id == User.id)
    .join(Company, Company.id == Member.company_id)
    .where(Company.id == bindparam("company_id"), members_visible_to(None))
    .order_by(Member.added_at, Member.id),
    _MemberRow,
)


async def find_company(reader: Reader, company_id: UUID) -> CompanyOut | None:
    """One company with its public members; None if there is no such company. Members are public while it is
    verified."""
    row = await reader.row(_COMPANY, {"company_id": company_id})
    if row is None:
        return None
    (item,) = await _with_bug_stats(reader, [row])
    members = [
        PublicMember(UserRef(member.id, member.username), member.role)
        for member in await reader.rows(_PUBLIC_MEMBERS, {"company_id": company_id})
    ]
    return CompanyOut(**asdict(item), members=members)
