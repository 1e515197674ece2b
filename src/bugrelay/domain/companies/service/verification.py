"""Verification of companies: only members of a verified company have rights."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.repository import account_at
from bugrelay.domain.companies import repository
from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.events import CompanyUnverified, CompanyVerified
from bugrelay.domain.companies.models import Company
from bugrelay.domain.companies.service.team import add_member
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def verify_company(work: UnitOfWork, company_id: UUID, *, actor_id: UUID | None) -> bool:
    """Mark the company as verified, which makes its memberships effective; returns False if it was verified already."""
    has_changed = await _set_verified(work, company_id, verified=True)
    if has_changed:
        work.record(CompanyVerified(company_id=company_id, actor_id=actor_id))
    return has_changed


async def unverify_company(work: UnitOfWork, company_id: UUID, *, actor_id: UUID | None) -> bool:
    """Mark the company as unverified: its members keep their memberships, without rights, until it is verified again.

    Returns False if it was not verified.
    """
    has_changed = await _set_verified(work, company_id, verified=False)
    if has_changed:
        work.record(CompanyUnverified(company_id=company_id, actor_id=actor_id))
    return has_changed


async def _set_verified(work: UnitOfWork, company_id: UUID, *, verified: bool) -> bool:
    changing = (
        update(Company)
        .where(Company.id == company_id, Company.verified.is_(not verified))
        .values(verified=verified, verified_at=func.now() if verified else None, updated_at=func.now())
        .returning(Company.id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None


async def add_trusted_member(work: UnitOfWork, *, domain: str, email: str, role: str) -> None:
    """Make the user a member and the company verified, without any proof: for the operator's command line.

    No address has to be verified. If the company had lost its verification, its former members regain their rights, as
    when a system admin verifies it.

    Raises:
        CompanyNotFound, UserNotFound
    """
    company = await repository.company_at_domain(work, domain.lower())
    if company is None:
        raise CompanyNotFound(f"There is no company {domain}")
    account = await account_at(work, email)
    if account is None:
        raise UserNotFound(f"There is no account for {email}")
    await repository.lock_company(work, company.id)
    await verify_company(work, company.id, actor_id=None)
    await add_member(work, company_id=company.id, user_id=account.id, role=role, actor_id=None)
