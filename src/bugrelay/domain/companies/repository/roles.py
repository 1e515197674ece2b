"""SELECTs of the role of a user in a company, and of tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.models import Company, Member
from bugrelay.domain.companies.schemas import TenantMembership
from bugrelay.domain.companies.visibility import EFFECTIVE, ON_TEAM
from bugrelay.infra.db.query import Query, Reader


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
