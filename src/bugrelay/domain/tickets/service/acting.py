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
    """The locks that every change begins with, for the statement that takes the next ones: the user's row, then the
    company's and the membership's. It has no row where the user or the membership counts no more, or where the role is
    another than the request was let in with. Of an automation, the company's alone.

    Args:
        tenant: Who acts: somebody, or an automation; left out, somebody.
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
    """The locks alone, where a change takes its next ones later.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions
    """
    if await work.row(_MEMBERSHIP.of(tenant), acting_values(tenant)) is None:
        await refuse_former_member(work, tenant)


async def refuse_former_member(work: UnitOfWork, tenant: Tenant) -> None:
    """Say why `membership` has no row; returns where it has one.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound
        InsufficientPermissions: The role has changed since the request was let in.
    """
    if isinstance(tenant, Automation):
        if await work.row(_MEMBERSHIP.of(tenant), acting_values(tenant)) is None:
            raise CompanyNotFound
        return
    now = await lock_tenant(work, tenant)
    if now.role != tenant.role:
        raise InsufficientPermissions("Your role in the company has just changed")
