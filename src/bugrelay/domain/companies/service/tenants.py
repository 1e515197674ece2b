"""The tenant of a request: a verified company of which the caller is an effective member, in any role."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.errors import CompanyNotFound, CompanyRequired
from bugrelay.domain.companies.schemas import CompanyState, Role, Tenant, TenantMembership
from bugrelay.errors import InsufficientPermissions, ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import parse_id
from bugrelay.infra.text.urls import canonical_host


async def find_tenant(reader: Reader, user_id: UUID, *, named: Collection[str]) -> Tenant:
    """The tenant of a user, in one statement for each name.

    Args:
        reader: What to read from.
        user_id: The caller.
        named: The company's id, its domain or both; empty if the caller named none.

    Raises:
        ValidationFailed: The names are not of one company.
        CompanyRequired: The user belongs to several companies, and none is named.
        CompanyNotFound: The user belongs to no company, or not to this one, or it does not exist or is unverified; the
            error does not tell these apart.
    """
    found: Sequence[TenantMembership | None]
    if named:
        found = [await _named(reader, user_id, name) for name in named]
        if found[0] != found[-1]:
            raise ValidationFailed.of("company", "must name one company")
    else:
        found = await repository.some_tenants_of(reader, user_id=user_id)
        if len(found) > 1:
            raise CompanyRequired
    return _tenant(found[0] if found else None, user_id)


async def lock_tenant(work: UnitOfWork, tenant: Tenant) -> Tenant:
    """Lock the user's row, then the membership (shared), and return the tenant with the current role.

    Raises:
        AccountBanned
        CompanyNotFound: The membership ended, or the company lost its verification, since the request began.
    """
    await lock_active_user(work, tenant.user_id)
    membership = await repository.lock_tenant_of(work, user_id=tenant.user_id, company_id=tenant.company_id)
    return _tenant(membership, tenant.user_id)


async def lock_as_tenant_admin(work: UnitOfWork, tenant: Tenant) -> CompanyState:
    """Lock the company until the transaction ends, and check that the caller is its admin.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions
    """
    company, role = await lock_tenant_company(work, tenant)
    if not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return company


async def lock_tenant_company(work: UnitOfWork, tenant: Tenant) -> tuple[CompanyState, Role]:
    """Lock the company until the transaction ends, for a change of its users; also returns the caller's current role.

    Raises:
        AccountBanned, CompanyNotFound
    """
    await lock_active_user(work, tenant.user_id)
    company = await repository.lock_company(work, tenant.company_id)
    membership = await repository.tenant_of(work, user_id=tenant.user_id, company_id=tenant.company_id)
    if company is None or membership is None:
        raise CompanyNotFound
    return company, membership.role


async def _named(reader: Reader, user_id: UUID, named: str) -> TenantMembership | None:
    company_id = parse_id(named)
    if company_id is not None:
        return await repository.tenant_of(reader, user_id=user_id, company_id=company_id)
    domain = canonical_host(named)
    if domain is None:
        return None
    return await repository.tenant_at_domain(reader, user_id=user_id, domain=domain)


def _tenant(membership: TenantMembership | None, user_id: UUID) -> Tenant:
    if membership is None:
        raise CompanyNotFound
    return Tenant(membership.company_id, user_id, membership.role)
