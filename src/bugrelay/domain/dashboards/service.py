"""A company or an application with the counts of its bugs, and a company's dashboard."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound
from bugrelay.domain.dashboards import repository
from bugrelay.domain.dashboards.schemas import ApplicationOut, CompanyDashboard, CompanyOut
from bugrelay.infra.db.database import Reader


async def get_company(reader: Reader, company_id: UUID) -> CompanyOut:
    """One company with its members and the counts of its bugs.

    Raises:
        CompanyNotFound
    """
    company = await repository.find_company(reader, company_id)
    if company is None:
        raise CompanyNotFound
    return company


async def get_application(reader: Reader, application_id: UUID) -> ApplicationOut:
    """One application with the counts of its bugs.

    Raises:
        ApplicationNotFound
    """
    application = await repository.find_application(reader, application_id)
    if application is None:
        raise ApplicationNotFound
    return application


async def get_dashboard(reader: Reader, company_id: UUID, *, role: str) -> CompanyDashboard:
    """A company's dashboard for a member with this role.

    Raises:
        CompanyNotFound
    """
    company = await get_company(reader, company_id)
    return CompanyDashboard(
        company=company,
        user_role=role,
        bug_stats=company.bug_stats,
        recent_bugs=await repository.newest_bugs(reader, company_id),
        response_stats=await repository.response_stats(reader, company_id, total=company.bug_stats.total),
        votes_30d=await repository.recent_votes(reader, company_id),
        oldest_unanswered=await repository.oldest_unanswered(reader, company_id),
    )
