"""Whether a company is verified: only then do its members have rights."""

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
    """The company's domain is proven: its members' rights count from now on. False when it was verified before."""
    turned = await _turn(work, company_id, verified=True)
    if turned:
        work.record(CompanyVerified(company_id=company_id, actor_id=actor_id))
    return turned


async def unverify_company(work: UnitOfWork, company_id: UUID, *, actor_id: UUID | None) -> bool:
    """The proof counts no more: the members keep their places, and lose their rights until it is verified again.

    False when it was not verified.
    """
    turned = await _turn(work, company_id, verified=False)
    if turned:
        work.record(CompanyUnverified(company_id=company_id, actor_id=actor_id))
    return turned


async def _turn(work: UnitOfWork, company_id: UUID, *, verified: bool) -> bool:
    turning = (
        update(Company)
        .where(Company.id == company_id, Company.verified.is_(not verified))
        .values(verified=verified, verified_at=func.now() if verified else None, updated_at=func.now())
        .returning(Company.id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(turning)).first() is not None


async def add_trusted_member(work: UnitOfWork, *, domain: str, email: str, role: str) -> None:
    """The operator's word: the user belongs to the company, and the company is what its domain says.

    No address has to be verified. Where the company had lost its verification, its members are back, as by a system
    admin's word.

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
