"""Who belongs to a tenant, in all roles: what its admins change.

As every change of a team, each locks the company's row first and asks for the actor's role behind the lock
(`service/team.py`).
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import update

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.errors import CompanyNotFound, InvalidDomain
from bugrelay.domain.companies.events import MemberActivityChanged
from bugrelay.domain.companies.models import Member
from bugrelay.domain.companies.schemas import CompanyState, Role, Tenant
from bugrelay.domain.companies.service.team import ensure_admin_stays, remove_member, set_role
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def change_tenant_user(
    work: UnitOfWork, tenant: Tenant, *, user_id: UUID, role: Role | None, is_active: bool | None
) -> None:
    """Change a user's role, or whether they have rights; what is None stays.

    A reporter may have any address; who comes to the team must have one at the company's domain.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, UserNotFound, InvalidDomain, LastAdmin
    """
    company = await lock_as_tenant_admin(work, tenant)
    place = await repository.tenant_place(work, company_id=company.id, user_id=user_id)
    if place is None:
        raise UserNotFound
    if role is not None and role != place.role:
        _check_address(company, place, role=role)
        await ensure_admin_stays(work, company.id, user_id=user_id, role=place.role, new_role=role)
        await set_role(work, company.id, user_id=user_id, role=role, actor_id=tenant.user_id)
    if is_active is not None and is_active != place.is_active:
        role_now = role or place.role
        await ensure_admin_stays(
            work, company.id, user_id=user_id, role=role_now, new_role=role_now if is_active else None
        )
        await _set_active(work, tenant, user_id=user_id, role=role_now, is_active=is_active)


async def remove_tenant_user(work: UnitOfWork, tenant: Tenant, *, user_id: UUID) -> None:
    """Out of the tenant, by one of its admins or by themself; the account stays.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, UserNotFound, LastAdmin
    """
    company, role = await _lock(work, tenant)
    if user_id != tenant.user_id and not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may remove somebody else")
    place = await repository.tenant_place(work, company_id=company.id, user_id=user_id)
    if place is None:
        raise UserNotFound
    await ensure_admin_stays(work, company.id, user_id=user_id, role=place.role, new_role=None)
    await remove_member(work, company.id, user_id=user_id, actor_id=tenant.user_id)


async def lock_as_tenant_admin(work: UnitOfWork, tenant: Tenant) -> CompanyState:
    """The company, kept to this transaction, for one who is its admin now.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions
    """
    company, role = await _lock(work, tenant)
    if not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return company


async def _lock(work: UnitOfWork, tenant: Tenant) -> tuple[CompanyState, Role]:
    await lock_active_user(work, tenant.user_id)
    company = await repository.lock_company(work, tenant.company_id)
    membership = await repository.tenant_of(work, user_id=tenant.user_id, company_id=tenant.company_id)
    if company is None or membership is None:
        raise CompanyNotFound
    return company, membership.role


def _check_address(company: CompanyState, place: repository.TenantPlace, *, role: Role) -> None:
    """Whom a proven claim or the operator vouches for needs no address."""
    if not policies.is_on_team(role) or place.email_key is None:
        return
    if email_domain(place.email_key) != company.domain:
        raise InvalidDomain(
            "Members must have an address at exactly the company's domain; reporters need none"
        )


async def _set_active(
    work: UnitOfWork, tenant: Tenant, *, user_id: UUID, role: Role, is_active: bool
) -> None:
    place = (Member.company_id == tenant.company_id, Member.user_id == user_id)
    await work.session.execute(update(Member).where(*place).values(is_active=is_active))
    work.record(
        MemberActivityChanged(
            company_id=tenant.company_id,
            user_id=user_id,
            role=role,
            is_active=is_active,
            actor_id=tenant.user_id,
        )
    )
