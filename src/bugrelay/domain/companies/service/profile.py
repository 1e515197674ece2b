"""A company's public profile."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, update

from bugrelay.domain.companies.events import CompanyEdited
from bugrelay.domain.companies.models import Company
from bugrelay.domain.companies.schemas import ChangeCompany
from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.text.markdown import render


async def change_company(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, change: ChangeCompany
) -> None:
    """Change the profile; absent fields stay unchanged.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions
    """
    requested = {name: getattr(change, name) for name in ChangeCompany.__struct_fields__}
    values: dict[str, Any] = {name: value for name, value in requested.items() if value is not UNSET}
    fields = tuple(values)
    if "description" in values:
        values["description_html"] = render(values["description"]) if values["description"] else None
    company = await lock_as_admin(work, company_id, actor_id=actor_id)
    if "name" in values:
        values["name"] = values["name"] or company.domain
    await work.session.execute(
        update(Company).where(Company.id == company_id).values(**values, updated_at=func.now())
    )
    work.record(CompanyEdited(company_id=company_id, fields=fields, actor_id=actor_id))
