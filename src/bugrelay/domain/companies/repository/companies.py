"""SELECTs of companies and applications."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, select

from bugrelay.domain.companies.models import Application, Company
from bugrelay.domain.companies.schemas import ApplicationState, CompanyState
from bugrelay.infra.db.query import Query, Reader

_COMPANIES = select(Company.id, Company.domain, Company.verified)
_COMPANY = _COMPANIES.where(Company.id == bindparam("company_id"))
_COMPANY_QUERY = Query(_COMPANY, CompanyState)
_LOCK_COMPANY = Query(_COMPANY.with_for_update(key_share=True), CompanyState)
_COMPANY_AT_DOMAIN = Query(_COMPANIES.where(Company.domain == bindparam("domain")), CompanyState)


async def company_state(reader: Reader, company_id: UUID) -> CompanyState | None:
    return await reader.row(_COMPANY_QUERY, {"company_id": company_id})


async def lock_company(reader: Reader, company_id: UUID) -> CompanyState | None:
    """The company, its row locked until the transaction ends; that does not block reports that name the company."""
    return await reader.row(_LOCK_COMPANY, {"company_id": company_id})


async def company_at_domain(reader: Reader, domain: str) -> CompanyState | None:
    return await reader.row(_COMPANY_AT_DOMAIN, {"domain": domain})


_APPLICATION = select(Application.id, Application.domain, Application.company_id).where(
    Application.id == bindparam("application_id")
)
_APPLICATION_QUERY = Query(_APPLICATION, ApplicationState)
_LOCK_APPLICATION = Query(_APPLICATION.with_for_update(key_share=True), ApplicationState)


async def application_state(reader: Reader, application_id: UUID) -> ApplicationState | None:
    return await reader.row(_APPLICATION_QUERY, {"application_id": application_id})


async def lock_application(reader: Reader, application_id: UUID) -> ApplicationState | None:
    """The application, its row locked until the transaction ends: reports that name it wait."""
    return await reader.row(_LOCK_APPLICATION, {"application_id": application_id})
