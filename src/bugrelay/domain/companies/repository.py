"""Every SELECT of companies and applications, their claims, teams and invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import ColumnElement, Integer, Select, Text, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import aliased

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import (
    ADMIN,
    REPORTER,
    TEAM_ROLES,
    Application,
    Company,
    CompanyClaim,
    FormerMember,
    Invitation,
    Member,
)
from bugrelay.domain.companies.schemas import (
    ApplicationState,
    CompanyState,
    FormerColleague,
    FormerTeamUser,
    OpenInvitation,
    Role,
    TeamMember,
    TeamRole,
    TeamUser,
    TenantMembership,
    TenantUser,
)
from bugrelay.domain.companies.visibility import (
    EFFECTIVE,
    ON_TEAM,
    claims_visible_to,
    members_visible_to,
    sees_effective,
    visible_address_of_former,
)
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery


def role_in(company_id: Any, user_id: Any) -> Select[str]:
    """SELECT of the user's role on a verified company's team, if the membership is effective; takes columns or bound
    parameters."""
    return (
        select(Member.role)
        .select_from(Company)
        .join(Member, Member.company_id == Company.id)
        .join(User, User.id == Member.user_id)
        .where(Member.user_id == user_id, Company.id == company_id, Company.verified, EFFECTIVE, ON_TEAM)
    )


_ROLE = role_in(bindparam("company_id"), bindparam("user_id"))
_ROLE_QUERY = Query(_ROLE, str)
# The company comes first in the statement, so it is locked first, as every change of a team does.
_LOCK_ROLE = Query(_ROLE.with_for_update(read=True, of=(Company, Member)), str)


async def role_of(reader: Reader, *, user_id: UUID, company_id: UUID) -> str | None:
    """The user's role on a verified company's team, or None if there is no effective membership."""
    return await reader.row(_ROLE_QUERY, {"user_id": user_id, "company_id": company_id})


async def lock_role_of(reader: Reader, *, user_id: UUID, company_id: UUID) -> str | None:
    """`role_of` under a shared lock until the transaction ends; the account is locked by `lock_active_user` only."""
    return await reader.row(_LOCK_ROLE, {"user_id": user_id, "company_id": company_id})


# --- tenants --------------------------------------------------------------------------------------------------------


_TENANTS = (
    select(Company.id.label("company_id"), Member.role)
    .select_from(Company)
    .join(Member, Member.company_id == Company.id)
    .join(User, User.id == Member.user_id)
    .where(Member.user_id == bindparam("user_id"), Company.verified, EFFECTIVE)
)
_TENANT_OF_ID = _TENANTS.where(Company.id == bindparam("company_id"))
_TENANT = Query(_TENANT_OF_ID, TenantMembership)
_LOCK_TENANT = Query(_TENANT_OF_ID.with_for_update(read=True, of=(Company, Member)), TenantMembership)
_TENANT_AT_DOMAIN = Query(_TENANTS.where(Company.domain == bindparam("domain")), TenantMembership)
_SOME_TENANTS = Query(_TENANTS.order_by(Member.added_at, Member.id).limit(2), TenantMembership)


async def tenant_of(reader: Reader, *, user_id: UUID, company_id: UUID) -> TenantMembership | None:
    """The user's effective membership of a verified company, in any role."""
    return await reader.row(_TENANT, {"user_id": user_id, "company_id": company_id})


async def lock_tenant_of(reader: Reader, *, user_id: UUID, company_id: UUID) -> TenantMembership | None:
    """`tenant_of` under a shared lock until the transaction ends."""
    return await reader.row(_LOCK_TENANT, {"user_id": user_id, "company_id": company_id})


async def tenant_at_domain(reader: Reader, *, user_id: UUID, domain: str) -> TenantMembership | None:
    """The user's effective membership of the verified company at a domain."""
    return await reader.row(_TENANT_AT_DOMAIN, {"user_id": user_id, "domain": domain})


async def some_tenants_of(reader: Reader, *, user_id: UUID) -> Sequence[TenantMembership]:
    """The user's effective memberships, at most two: callers distinguish none, one, and several."""
    return await reader.rows(_SOME_TENANTS, {"user_id": user_id})


# --- companies ------------------------------------------------------------------------------------------------------


_COMPANIES = select(Company.id, Company.domain, Company.verified)
_COMPANY = _COMPANIES.where(Company.id == bindparam("company_id"))
_COMPANY_QUERY = Query(_COMPANY, CompanyState)
_LOCK_COMPANY = Query(_COMPANY.with_for_update(key_share=True), CompanyState)
_COMPANY_AT_DOMAIN = Query(_COMPANIES.where(Company.domain == bindparam("domain")), CompanyState)


async def company_state(reader: Reader, company_id: UUID) -> CompanyState | None:
    return await reader.row(_COMPANY_QUERY, {"company_id": company_id})


async def lock_company(reader: Reader, company_id: UUID) -> CompanyState | None:
    """The company, its row locked until the transaction ends; that does not block reports that name the company."""
    return await reader.row(_LOCK_COMPANY, {"company_id": company_id})


async def company_at_domain(reader: Reader, domain: str) -> CompanyState | None:
    return await reader.row(_COMPANY_AT_DOMAIN, {"domain": domain})


# --- applications ---------------------------------------------------------------------------------------------------


_APPLICATION = select(Application.id, Application.domain, Application.company_id).where(
    Application.id == bindparam("application_id")
)
_APPLICATION_QUERY = Query(_APPLICATION, ApplicationState)
_LOCK_APPLICATION = Query(_APPLICATION.with_for_update(key_share=True), ApplicationState)


async def application_state(reader: Reader, application_id: UUID) -> ApplicationState | None:
    return await reader.row(_APPLICATION_QUERY, {"application_id": application_id})


async def lock_application(reader: Reader, application_id: UUID) -> ApplicationState | None:
    """The application, its row locked until the transaction ends: reports that name it wait."""
    return await reader.row(_LOCK_APPLICATION, {"application_id": application_id})


# --- claims ---------------------------------------------------------------------------------------------------------

_OPEN = and_(CompanyClaim.used_at.is_(None), CompanyClaim.expires_at > func.now())


_OWN_CLAIM = select(CompanyClaim.id).where(
    claims_visible_to(bindparam("user_id")), CompanyClaim.company_id == bindparam("company_id"), _OPEN
)
_CLAIM_OF_TOKEN = Query(
    _OWN_CLAIM.where(CompanyClaim.token_hash == bindparam("token_hash"), CompanyClaim.method == "mail"), UUID
)
_PUBLISHED_CLAIM = Query(_OWN_CLAIM.where(CompanyClaim.method == bindparam("method")), UUID)


async def claim_of_token(
    reader: Reader, *, company_id: UUID, user_id: UUID, token_hash: bytes
) -> UUID | None:
    """The id of the user's open claim of the company by mail, if this is its token.

    Claims by a published proof are excluded: their claimants know the token, so sending it proves nothing.
    """
    values = {"company_id": company_id, "user_id": user_id, "token_hash": token_hash}
    return await reader.row(_CLAIM_OF_TOKEN, values)


async def published_claim(reader: Reader, *, company_id: UUID, user_id: UUID, method: str) -> UUID | None:
    """The id of the user's open claim of the company by this method."""
    values = {"company_id": company_id, "user_id": user_id, "method": method}
    return await reader.row(_PUBLISHED_CLAIM, values)


class ClaimState(Row):
    """An open claim of an unverified company, and its claimant."""

    id: UUID
    company_id: UUID
    user_id: UUID
    method: str
    email: str | None
    token_hash: bytes
    domain: str
    username: str


_CLAIM = Query(
    select(
        CompanyClaim.id,
        CompanyClaim.company_id,
        CompanyClaim.user_id,
        CompanyClaim.method,
        CompanyClaim.email,
        CompanyClaim.token_hash,
        Company.domain,
        User.username,
    )
    .join(Company, Company.id == CompanyClaim.company_id)
    .join(User, User.id == CompanyClaim.user_id)
    .where(CompanyClaim.id == bindparam("claim_id"), _OPEN, Company.verified.is_(False)),
    ClaimState,
)


async def open_claim(reader: Reader, claim_id: UUID) -> ClaimState | None:
    return await reader.row(_CLAIM, {"claim_id": claim_id})


_CLAIMS_TO_CHECK = Query(
    select(CompanyClaim.id)
    .join(Company, Company.id == CompanyClaim.company_id)
    .where(CompanyClaim.method != "mail", _OPEN, Company.verified.is_(False))
    .order_by(CompanyClaim.checked_at.asc().nulls_first(), CompanyClaim.id)
    .limit(bindparam("limit", type_=Integer)),
    UUID,
)


async def claims_to_check(reader: Reader, *, limit: int) -> Sequence[UUID]:
    """Ids of open claims by a published proof, the least recently checked first."""
    return await reader.rows(_CLAIMS_TO_CHECK, {"limit": limit})


# --- teams ----------------------------------------------------------------------------------------------------------


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


# --- users of a tenant ----------------------------------------------------------------------------------------------

_search = func.lower(bindparam("search", type_=Text))
_NAME = func.coalesce(User.display_name, User.username)
_TENANT_USERS = (
    select(
        User.id,
        User.email,
        _NAME.label("name"),
        User.username,
        Member.role,
        User.avatar_url,
        Member.is_active,
        User.created_at,
        User.updated_at,
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == bindparam("company_id"))
)
_TENANT_USER = Query(_TENANT_USERS.where(Member.user_id == bindparam("user_id")), TenantUser)
_TENANT_USER_FILTERS: dict[str, ColumnElement[bool]] = {
    "role": Member.role == bindparam("role"),
    "is_active": Member.is_active == bindparam("is_active"),
    "search": or_(
        func.lower(_NAME).like(_search), func.lower(User.username).like(_search), User.email_key.like(_search)
    ),
}


@lru_cache
def _tenant_user_queries(filters: tuple[str, ...]) -> tuple[Query[TenantUser], Query[int]]:
    """The queries of a page, the longest-standing first, and of the total."""
    users = _TENANT_USERS.where(*(_TENANT_USER_FILTERS[name] for name in filters))
    page = users.order_by(Member.added_at, Member.id)
    page = page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))
    return Query(page, TenantUser), Query(users.with_only_columns(func.count()), int)


async def list_tenant_users(
    reader: Reader,
    company_id: UUID,
    query: PageQuery,
    *,
    role: str | None,
    is_active: bool | None,
    search: str | None,
) -> tuple[list[TenantUser], int]:
    """A page of the tenant's users, whether or not their memberships are effective, and the total."""
    wanted = {"role": role, "is_active": is_active, "search": None if search is None else contains(search)}
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    page, count = _tenant_user_queries(tuple(values))
    values["company_id"] = company_id
    total = await reader.row(count, values)
    rows = await reader.rows(page, values | {"limit": query.limit, "offset": query.offset})
    return list(rows), total or 0


async def find_tenant_user(reader: Reader, *, company_id: UUID, user_id: UUID) -> TenantUser | None:
    return await reader.row(_TENANT_USER, {"company_id": company_id, "user_id": user_id})


class MembershipState(Row):
    """What a change of a membership depends on; `email_key` is the address that the membership depends on."""

    role: Role
    is_active: bool
    email_key: str | None


_MEMBERSHIP_STATE = Query(
    select(Member.role, Member.is_active, Member.email_key).where(
        Member.company_id == bindparam("company_id"), Member.user_id == bindparam("user_id")
    ),
    MembershipState,
)


async def membership_state(reader: Reader, *, company_id: UUID, user_id: UUID) -> MembershipState | None:
    """A user's membership of a tenant, whether or not it is effective."""
    return await reader.row(_MEMBERSHIP_STATE, {"company_id": company_id, "user_id": user_id})


_MEMBER_AT = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.company_id == bindparam("company_id"),
        or_(Member.email_key == bindparam("email_key"), User.email_key == bindparam("email_key")),
    )
    .limit(1),
    UUID,
)


async def has_member_at(reader: Reader, *, company_id: UUID, email_key: str) -> bool:
    """Whether the company has a user with this address, in any role, active or not."""
    return await reader.row(_MEMBER_AT, {"company_id": company_id, "email_key": email_key}) is not None


# --- invitations ----------------------------------------------------------------------------------------------------

_is_sent_by_admin = exists().where(
    Member.company_id == Invitation.company_id,
    Member.user_id == Invitation.inviter_id,
    Member.role == ADMIN,
    User.id == Member.user_id,
    EFFECTIVE,
    ACTIVE,
)
# Whether an invitation can be accepted, for statements that join the company: its sender must still be an admin.
ACCEPTABLE = and_(Invitation.expires_at > func.now(), Company.verified, _is_sent_by_admin)
_inviter = aliased(User)
_INVITATIONS = (
    select(
        Invitation.id,
        Invitation.email,
        Invitation.email_key,
        Invitation.role,
        Invitation.created_at,
        Invitation.expires_at,
        Invitation.inviter_id,
        _inviter.username.label("inviter_username"),
        Invitation.company_id,
        Company.domain,
    )
    .select_from(Invitation)
    .join(Company, Company.id == Invitation.company_id)
    .join(_inviter, _inviter.id == Invitation.inviter_id)
    .where(ACCEPTABLE)
)
_INVITATION = Query(_INVITATIONS.where(Invitation.id == bindparam("invitation_id")), OpenInvitation)
_INVITATION_OF_TOKEN = Query(
    _INVITATIONS.where(Invitation.token_hash == bindparam("token_hash")), OpenInvitation
)
_INVITATIONS_OF = _INVITATIONS.where(Invitation.company_id == bindparam("company_id"))
_INVITATION_PAGE = Query(
    _INVITATIONS_OF.order_by(Invitation.id.desc())
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    OpenInvitation,
)
_INVITATION_TOTAL = Query(_INVITATIONS_OF.with_only_columns(func.count()), int)


async def open_invitation(reader: Reader, invitation_id: UUID) -> OpenInvitation | None:
    """The invitation, or None if it cannot be accepted any more."""
    return await reader.row(_INVITATION, {"invitation_id": invitation_id})


async def invitation_of_token(reader: Reader, token_hash: bytes) -> OpenInvitation | None:
    """The invitation of a link's token, or None if it cannot be accepted any more."""
    return await reader.row(_INVITATION_OF_TOKEN, {"token_hash": token_hash})


async def list_invitations(
    reader: Reader, company_id: UUID, query: PageQuery
) -> tuple[list[OpenInvitation], int]:
    """A page of the invitations that can be accepted, the newest first, and the total."""
    total = await reader.row(_INVITATION_TOTAL, {"company_id": company_id})
    values = {"company_id": company_id, "limit": query.limit, "offset": query.offset}
    return list(await reader.rows(_INVITATION_PAGE, values)), total or 0


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
