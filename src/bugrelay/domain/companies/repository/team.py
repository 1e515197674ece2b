"""SELECTs of teams, and of their former members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Integer, Select, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import ADMIN, REPORTER, TEAM_ROLES, Company, FormerMember, Member
from bugrelay.domain.companies.schemas import FormerColleague, FormerTeamUser, TeamMember, TeamRole, TeamUser
from bugrelay.domain.companies.visibility import (
    EFFECTIVE,
    ON_TEAM,
    members_visible_to,
    sees_effective,
    visible_address_of_former,
)
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


class _MemberRow(Row):
    id: UUID
    company_id: UUID
    user_id: UUID
    role: TeamRole
    added_at: datetime
    effective: bool
    username: str
    email: str


_MEMBERS = (
    select(
        Member.id,
        Member.company_id,
        Member.user_id,
        Member.role,
        Member.added_at,
        EFFECTIVE.label("effective"),
        User.username,
        User.email,
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .join(Company, Company.id == Member.company_id)
    .where(Member.company_id == bindparam("company_id"))
)


def _page_and_total(members: Select[*tuple[Any, ...]]) -> tuple[Query[_MemberRow], Query[int]]:
    page = members.order_by(Member.added_at, Member.id)
    page = page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))
    return Query(page, _MemberRow), Query(members.with_only_columns(func.count()), int)


_PAGES = {role: _page_and_total(_MEMBERS.where(members_visible_to(role))) for role in TEAM_ROLES}
_MEMBER = Query(_MEMBERS.where(members_visible_to(ADMIN), Member.user_id == bindparam("user_id")), _MemberRow)


def _member_of(row: _MemberRow, *, role: str) -> TeamMember:
    return TeamMember(
        id=row.id,
        company_id=row.company_id,
        user_id=row.user_id,
        role=row.role,
        added_at=row.added_at,
        effective=row.effective if sees_effective(role) else UNSET,
        user=TeamUser(row.user_id, row.username, row.email),
    )


async def list_members(
    reader: Reader, company_id: UUID, query: PageQuery, *, role: str
) -> tuple[list[TeamMember], int]:
    """A page of the team, the longest-standing first, and the total, as a viewer with this role sees it."""
    page, count = _PAGES[role]
    total = await reader.row(count, {"company_id": company_id})
    rows = await reader.rows(page, {"company_id": company_id, "limit": query.limit, "offset": query.offset})
    return [_member_of(row, role=role) for row in rows], total or 0


async def find_member(reader: Reader, *, company_id: UUID, user_id: UUID) -> TeamMember | None:
    """A member as the team's admins see them."""
    row = await reader.row(_MEMBER, {"company_id": company_id, "user_id": user_id})
    return _member_of(row, role=ADMIN) if row else None


_OTHER_ADMIN = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.company_id == bindparam("company_id"),
        Member.user_id != bindparam("user_id"),
        Member.role == ADMIN,
        EFFECTIVE,
        ACTIVE,
    )
    .limit(1),
    UUID,
)


async def has_other_admin(reader: Reader, *, company_id: UUID, user_id: UUID) -> bool:
    """Whether the company has another effective admin whose account is neither banned nor erased."""
    return await reader.row(_OTHER_ADMIN, {"company_id": company_id, "user_id": user_id}) is not None


_ADMINS = Query(
    select(Member.user_id)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == bindparam("company_id"), Member.role == ADMIN, EFFECTIVE, ACTIVE)
    .order_by(Member.added_at, Member.id),
    UUID,
)


async def admins_of(reader: Reader, company_id: UUID) -> Sequence[UUID]:
    """Ids of the effective admins whose accounts are neither banned nor erased, the longest-standing first."""
    return await reader.rows(_ADMINS, {"company_id": company_id})


_ON_TEAM = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.company_id == bindparam("company_id"),
        Member.user_id == bindparam("user_id"),
        EFFECTIVE,
        ON_TEAM,
    ),
    UUID,
)


async def is_on_team(reader: Reader, *, company_id: UUID, user_id: UUID) -> bool:
    """Whether the user is on the team, and will be effective once the company is verified."""
    return await reader.row(_ON_TEAM, {"company_id": company_id, "user_id": user_id}) is not None


FORMER_SHOWN = 100


class _FormerRow(Row):
    user_id: UUID
    role: TeamRole
    added_at: datetime
    ended_at: datetime
    username: str
    email: str
    company_domain: str


_FORMER = Query(
    select(
        FormerMember.user_id,
        FormerMember.role,
        FormerMember.added_at,
        FormerMember.ended_at,
        User.username,
        User.email,
        Company.domain.label("company_domain"),
    )
    .join(User, User.id == FormerMember.user_id)
    .join(Company, Company.id == FormerMember.company_id)
    .where(FormerMember.company_id == bindparam("company_id"), FormerMember.role != REPORTER)
    .order_by(FormerMember.ended_at.desc(), FormerMember.added_at, FormerMember.user_id)
    .limit(FORMER_SHOWN),
    _FormerRow,
)


async def former_members(reader: Reader, company_id: UUID) -> list[FormerColleague]:
    """Former members, at most `FORMER_SHOWN`: the latest team first, in it the longest-standing member first.

    Without former reporters: the domain may have been sold, and its present owner must not learn who they were.
    """
    return [_former_of(row) for row in await reader.rows(_FORMER, {"company_id": company_id})]


def _former_of(row: _FormerRow) -> FormerColleague:
    email = visible_address_of_former(row.email, company_domain=row.company_domain)
    return FormerColleague(
        user_id=row.user_id,
        role=row.role,
        added_at=row.added_at,
        ended_at=row.ended_at,
        user=FormerTeamUser(row.user_id, row.username, email),
    )
