"""Verify and unverify companies, and assign applications to companies, by an admin's decision."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies.errors import CompanyAlreadyVerified
from bugrelay.domain.companies.events import ApplicationAssigned, CompanyClaimed
from bugrelay.domain.companies.service import assign_application, unverify_company, verify_company
from bugrelay.domain.moderation.errors import CompanyNotVerified
from bugrelay.domain.moderation.service.audit import write_audit
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def verify(work: UnitOfWork, admin_id: UUID, company_id: UUID, *, reason: str) -> None:
    """Verify a company without a proof of its domain.

    Raises:
        CompanyAlreadyVerified, AccountBanned
    """
    await lock_active_user(work, admin_id)
    if not await verify_company(work, company_id, actor_id=admin_id):
        raise CompanyAlreadyVerified
    await write_audit(
        work.session,
        admin_id,
        "company_verify",
        resource="company",
        resource_id=company_id,
        details=reason,
        before={"verified": False},
        after={"verified": True},
    )


async def unverify(work: UnitOfWork, admin_id: UUID, company_id: UUID, *, reason: str) -> None:
    """Revoke a verification; the members stay, but have no rights until the company is verified again.

    Raises:
        CompanyNotVerified, AccountBanned
    """
    await lock_active_user(work, admin_id)
    if not await unverify_company(work, company_id, actor_id=admin_id):
        raise CompanyNotVerified
    await write_audit(
        work.session,
        admin_id,
        "company_unverify",
        resource="company",
        resource_id=company_id,
        details=reason,
        before={"verified": True},
        after={"verified": False},
    )


async def reassign(
    work: UnitOfWork, admin_id: UUID, application_id: UUID, *, company_id: UUID | None, reason: str | None
) -> None:
    """Assign an application and its bugs to a company, or to none; `audit_assignments` writes the audit log.

    Raises:
        ApplicationNotFound, CompanyNotFound, AccountBanned
    """
    await lock_active_user(work, admin_id)
    await assign_application(
        work, application_id=application_id, company_id=company_id, actor_id=admin_id, reason=reason
    )


async def audit_assignments(session: AsyncSession, assignments: Sequence[ApplicationAssigned]) -> None:
    """Write assignments of applications to the audit log, in their transaction and for any actor."""
    for assignment in assignments:
        await write_audit(
            session,
            assignment.actor_id,
            "application_reassign",
            resource="application",
            resource_id=assignment.application_id,
            details=assignment.reason,
            before={"company_id": assignment.former_company_id},
            after={"company_id": assignment.company_id},
        )


async def audit_claims(session: AsyncSession, claims: Sequence[CompanyClaimed]) -> None:
    """Write claims of companies to the audit log, in their transaction."""
    for claim in claims:
        await write_audit(
            session,
            claim.actor_id,
            "company_claim",
            resource="company",
            resource_id=claim.company_id,
            before={"verified": False},
            after={"verified": True, "method": claim.method, "admin_id": claim.actor_id},
        )
