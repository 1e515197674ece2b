"""Every SELECT of companies and applications, their claims and teams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Integer, Select, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.models import Application, Company, CompanyClaim, FormerMember, Member
from bugrelay.domain.companies.schemas import FormerColleague, FormerTeamUser, TeamMember, TeamUser
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.pagination import PageQuery

# Whether a membership counts, but for the company's own verification; of statements that join the user.
EFFECTIVE = or_(Member.email_key.is_(None), and_(User.is_email_verified, User.email_key == Member.email_key))

# The company stands first: where the rows are locked, it is locked first, as by whoever changes its team.
_ROLE = (
    select(Member.role)
    .select_from(Company)
    .join(Member, Member.company_id == Company.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.user_id == bindparam("user_id"),
        Company.id == bindparam("company_id"),
        Company.verified,
        EFFECTIVE,
    )
)
_ROLE_QUERY = Query(_ROLE)


async def role_of(reader: Reader, *, user_id: UUID, company_id: UUID) -> str | None:
    """The user's role in a verified company, where their membership counts; any other gives no rights."""
    row = await reader.row(_ROLE_QUERY, {"user_id": user_id, "company_id": company_id})
    return row[0] if row else None


async def lock_role_of(session: AsyncSession, *, user_id: UUID, company_id: UUID) -> str | None:
    """The same inside a transaction, kept from changing until it ends; `lock_active_user` alone locks the account."""
    statement = _ROLE.with_for_update(read=True, of=(Company, Member))
    return await session.scalar(statement, {"user_id": user_id, "company_id": company_id})


# --- companies ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompanyState:
    """What rules about a company depend on."""

    id: UUID
    domain: str
    verified: bool


_FACTS = select(Company.id, Company.domain, Company.verified).where(Company.id == bindparam("company_id"))
_FACTS_QUERY = Query(_FACTS)


async def company_state(reader: Reader, company_id: UUID) -> CompanyState | None:
    row = await reader.row(_FACTS_QUERY, {"company_id": company_id})
    return CompanyState(*row) if row else None


async def lock_company(session: AsyncSession, company_id: UUID) -> CompanyState | None:
    """The facts, and the company's row kept to this transaction; reports that name the company go on."""
    statement = _FACTS.with_for_update(key_share=True)
    row = (await session.execute(statement, {"company_id": company_id})).one_or_none()
    return CompanyState(*row) if row else None


async def company_by_domain(session: AsyncSession, domain: str) -> Company | None:
    return (await session.scalars(select(Company).where(Company.domain == domain))).one_or_none()


# --- applications ---------------------------------------------------------------------------------------------------


async def application_id_of(
    session: AsyncSession, *, name_key: str, domain: str
) -> tuple[UUID, UUID | None] | None:
    """Id and company of the application with that name and domain.

    The row is kept from being linked elsewhere until the transaction ends: a bug that is being reported is seen by a
    link that comes later, or sees the one that came before.
    """
    row = (
        await session.execute(
            select(Application.id, Application.company_id)
            .where(Application.name_key == name_key, Application.domain == domain)
            .with_for_update(read=True)
        )
    ).one_or_none()
    return (row.id, row.company_id) if row else None


_EXISTS = Query(
    select(Application.id).where(
        Application.name_key == bindparam("name_key"), Application.domain == bindparam("domain")
    )
)


async def application_exists(reader: Reader, *, name_key: str, domain: str) -> bool:
    return await reader.row(_EXISTS, {"name_key": name_key, "domain": domain}) is not None


@dataclass(frozen=True)
class ApplicationState:
    """What rules about an application depend on; `domain` is '' for one without a URL."""

    id: UUID
    domain: str
    company_id: UUID | None


_APPLICATION = select(Application.id, Application.domain, Application.company_id).where(
    Application.id == bindparam("application_id")
)
_APPLICATION_QUERY = Query(_APPLICATION)


async def application_state(reader: Reader, application_id: UUID) -> ApplicationState | None:
    row = await reader.row(_APPLICATION_QUERY, {"application_id": application_id})
    return ApplicationState(*row) if row else None


async def lock_application(session: AsyncSession, application_id: UUID) -> ApplicationState | None:
    """The facts, and the application's row kept to this transaction: reports that name it wait."""
    statement = _APPLICATION.with_for_update(key_share=True)
    row = (await session.execute(statement, {"application_id": application_id})).one_or_none()
    return ApplicationState(*row) if row else None


# --- claims ---------------------------------------------------------------------------------------------------------

_OPEN = and_(CompanyClaim.used_at.is_(None), CompanyClaim.expires_at > func.now())


async def claim_of_token(
    session: AsyncSession, *, company_id: UUID, user_id: UUID, token_hash: bytes
) -> UUID | None:
    """The user's open claim of the company by mail, if this is its token.

    A claim by a published proof has a token too, which its claimant was told: it proves nothing when it is sent here.
    """
    return await session.scalar(
        select(CompanyClaim.id).where(
            CompanyClaim.company_id == company_id,
            CompanyClaim.user_id == user_id,
            CompanyClaim.token_hash == token_hash,
            CompanyClaim.method == "mail",
            _OPEN,
        )
    )


async def published_claim(
    session: AsyncSession, *, company_id: UUID, user_id: UUID, method: str
) -> UUID | None:
    """The user's open claim of the company by a proof published that way."""
    return await session.scalar(
        select(CompanyClaim.id).where(
            CompanyClaim.company_id == company_id,
            CompanyClaim.user_id == user_id,
            CompanyClaim.method == method,
            _OPEN,
        )
    )


@dataclass(frozen=True)
class ClaimState:
    """An open claim of a company that nobody has verified, and who makes it."""

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
    .where(CompanyClaim.id == bindparam("claim_id"), _OPEN, Company.verified.is_(False))
)


async def open_claim(reader: Reader, claim_id: UUID) -> ClaimState | None:
    row = await reader.row(_CLAIM, {"claim_id": claim_id})
    return ClaimState(*row) if row else None


_CLAIMS_TO_CHECK = Query(
    select(CompanyClaim.id)
    .join(Company, Company.id == CompanyClaim.company_id)
    .where(CompanyClaim.method != "mail", _OPEN, Company.verified.is_(False))
    .order_by(CompanyClaim.checked_at.asc().nulls_first(), CompanyClaim.id)
    .limit(bindparam("limit", type_=Integer))
)


async def claims_to_check(reader: Reader, *, limit: int) -> list[UUID]:
    """Open claims whose proof is to be looked for, those first that have waited longest."""
    return [row[0] for row in await reader.rows(_CLAIMS_TO_CHECK, {"limit": limit})]


# --- teams ----------------------------------------------------------------------------------------------------------

_MEMBERS = (
    select(
        Member.id,
        Member.company_id,
        Member.user_id,
        Member.role,
        Member.added_at,
        EFFECTIVE,
        User.username,
        User.email,
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == bindparam("company_id"))
)


def _page_and_total(members: Select[*tuple[Any, ...]]) -> tuple[Query[Any], Query[Any]]:
    page = members.order_by(Member.added_at, Member.id)
    return (
        Query(page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))),
        Query(members.with_only_columns(func.count())),
    )


_MEMBER_PAGES, _EFFECTIVE_PAGES = _page_and_total(_MEMBERS), _page_and_total(_MEMBERS.where(EFFECTIVE))
_MEMBER = Query(_MEMBERS.where(Member.user_id == bindparam("user_id")))


def _member_of(row: tuple[UUID, UUID, UUID, str, datetime, bool, str, str]) -> TeamMember:
    member_id, company_id, user_id, role, added_at, effective, username, email = row
    return TeamMember(
        id=member_id,
        company_id=company_id,
        user_id=user_id,
        role=role,
        added_at=added_at,
        effective=effective,
        user=TeamUser(user_id, username, email),
    )


async def list_members(
    reader: Reader, company_id: UUID, query: PageQuery, *, for_admin: bool
) -> tuple[list[TeamMember], int]:
    """A page of the team, the longest-standing first, and how many there are.

    Of those who do not count yet, only the team's admins are told, and only they are told who counts.
    """
    page, count = _MEMBER_PAGES if for_admin else _EFFECTIVE_PAGES
    total = await reader.row(count, {"company_id": company_id})
    rows = await reader.rows(page, {"company_id": company_id, "limit": query.limit, "offset": query.offset})
    members = [_member_of(row) for row in rows]
    if not for_admin:
        for member in members:
            member.effective = UNSET
    return members, total[0] if total else 0


async def find_member(reader: Reader, *, company_id: UUID, user_id: UUID) -> TeamMember | None:
    row = await reader.row(_MEMBER, {"company_id": company_id, "user_id": user_id})
    return _member_of(row) if row else None


_OTHER_ADMIN = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(
        Member.company_id == bindparam("company_id"),
        Member.user_id != bindparam("user_id"),
        Member.role == "admin",
        EFFECTIVE,
        ACTIVE,
    )
    .limit(1)
)


async def has_other_admin(reader: Reader, *, company_id: UUID, user_id: UUID) -> bool:
    """Whether the company has an admin besides this one who counts and whose account can be used."""
    return await reader.row(_OTHER_ADMIN, {"company_id": company_id, "user_id": user_id}) is not None


_COUNTS = Query(
    select(Member.id)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == bindparam("company_id"), Member.user_id == bindparam("user_id"), EFFECTIVE)
)


async def is_on_team(reader: Reader, *, company_id: UUID, user_id: UUID) -> bool:
    """Whether the user is a member who counts as soon as the company is verified."""
    return await reader.row(_COUNTS, {"company_id": company_id, "user_id": user_id}) is not None


FORMER_SHOWN = 100
_FORMER = Query(
    select(
        FormerMember.user_id,
        FormerMember.role,
        FormerMember.added_at,
        FormerMember.ended_at,
        User.username,
        User.email,
        Company.domain,
    )
    .join(User, User.id == FormerMember.user_id)
    .join(Company, Company.id == FormerMember.company_id)
    .where(FormerMember.company_id == bindparam("company_id"))
    .order_by(FormerMember.ended_at.desc(), FormerMember.added_at, FormerMember.user_id)
    .limit(FORMER_SHOWN)
)


async def former_members(reader: Reader, company_id: UUID) -> list[FormerColleague]:
    """The members of teams before this one: the latest team first, in it the longest-standing.

    Who holds the domain today may be a stranger to those who held it before: an address is told only where it is at
    the domain itself.
    """
    return [
        FormerColleague(
            user_id=user_id,
            role=role,
            added_at=added_at,
            ended_at=ended_at,
            user=FormerTeamUser(user_id, username, email if email_domain(email) == domain else None),
        )
        for user_id, role, added_at, ended_at, username, email, domain in await reader.rows(
            _FORMER, {"company_id": company_id}
        )
    ]
