"""The acting member: checked again under locks that are held until the COMMIT."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, Text, bindparam, exists, func, select, update

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.models import Company, Member
from bugrelay.domain.companies.schemas import Automation, Tenant
from bugrelay.domain.companies.service.tenants import lock_tenant
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.tickets.repository.columns import values_of
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID, by_actor
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork


def membership(tenant: Tenant | None = None) -> CTE:
    """The locks that every change begins with, as part of the statement that takes the next ones: the user's row, then
    the company's and the membership's. It returns no row if the user or the membership is no longer active, or if the
    role is not that of the request's check any more. For an automation it locks only the company's row.

    Args:
        tenant: The acting user or automation; by default a user.
    """
    if isinstance(tenant, Automation):
        verified = select(bindparam("role", type_=Text)).where(Company.id == COMPANY_ID, Company.verified)
        return verified.with_for_update(read=True, of=Company).cte("membership")
    actor = update(User).where(User.id == USER_ID, ACTIVE).values(last_active_at=func.now())
    active = actor.returning(User.id).cte("active")
    return (
        select(Member.role)
        .select_from(Company)
        .join(Member, Member.company_id == Company.id)
        .join(User, User.id == Member.user_id)
        .where(
            Member.user_id == USER_ID,
            Company.id == COMPANY_ID,
            Company.verified,
            EFFECTIVE,
            Member.role == bindparam("role"),
            exists(select(active.c.id)),
        )
        .with_for_update(read=True, of=(Company, Member))
        .cte("membership")
    )


def acting_values(tenant: Tenant, **values: Any) -> dict[str, Any]:
    """The parameters of a statement with `membership`."""
    return values_of(tenant, role=tenant.role, **values)


_MEMBERSHIP = by_actor(lambda tenant: Query(select(membership(tenant).c.role), str))


async def lock_member(work: UnitOfWork, tenant: Tenant) -> None:
    """Take only these locks, for a change that takes its next ones later.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions
    """
    if await work.row(_MEMBERSHIP.of(tenant), acting_values(tenant)) is None:
        await refuse_former_member(work, tenant)


async def refuse_former_member(work: UnitOfWork, tenant: Tenant) -> None:
    """Raise the error for which `membership` has no row; returns if it has one.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound
        InsufficientPermissions: The role has changed since the request was checked.
    """
    if isinstance(tenant, Automation):
        if await work.row(_MEMBERSHIP.of(tenant), acting_values(tenant)) is None:
            raise CompanyNotFound
        return
    now = await lock_tenant(work, tenant)
    if now.role != tenant.role:
        raise InsufficientPermissions("Your role in the company has just changed")
