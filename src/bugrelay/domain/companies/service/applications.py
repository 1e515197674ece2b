"""Find or make the application and the company that a report names."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.companies import repository
from bugrelay.domain.companies.domains import application_domain, company_domain
from bugrelay.domain.companies.events import ApplicationAdded, CompanyAdded
from bugrelay.domain.companies.models import Application, Company
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.names import name_key


@dataclass(frozen=True)
class ResolvedApplication:
    """The application that a report names, and the company it goes to."""

    id: UUID
    company_id: UUID | None
    is_new: bool


async def get_or_create_application(work: UnitOfWork, *, name: str, url: str | None) -> ResolvedApplication:
    """Find the application of that name and domain, or make it; the unique indexes decide every race.

    A company is made, unverified, for a domain not seen before, where the domain can stand for one.
    """
    domain = (application_domain(url) if url else None) or ""
    key = name_key(name)
    found = await repository.lock_named_application(work, name_key=key, domain=domain)
    if found is not None:
        return ResolvedApplication(found.id, found.company_id, is_new=False)
    company_id = await _company_for(work, url)
    values = {
        "id": new_id(),
        "name": name,
        "name_key": key,
        "domain": domain,
        "url": url,
        "company_id": company_id,
    }
    made = await work.session.execute(
        insert(Application)
        .values(values)
        .on_conflict_do_nothing(index_elements=["name_key", "domain"])
        .returning(Application.id, Application.company_id)
    )
    row = made.one_or_none()
    if row is not None:
        work.record(
            ApplicationAdded(application_id=row.id, company_id=row.company_id, name=name, domain=domain)
        )
        return ResolvedApplication(row.id, row.company_id, is_new=True)
    found = await repository.lock_named_application(work, name_key=key, domain=domain)
    if found is None:
        raise RuntimeError("an application vanished while it was looked up")
    return ResolvedApplication(found.id, found.company_id, is_new=False)


async def _company_for(work: UnitOfWork, url: str | None) -> UUID | None:
    domain = company_domain(url) if url else None
    if domain is None:
        return None
    made: UUID | None = await work.session.scalar(
        insert(Company)
        .values(id=new_id(), name=domain, domain=domain, url=f"https://{domain}")
        .on_conflict_do_nothing(index_elements=["domain"])
        .returning(Company.id)
    )
    if made is not None:
        work.record(CompanyAdded(company_id=made, domain=domain))
        return made
    company = await repository.company_at_domain(work, domain)
    return company.id if company else None
