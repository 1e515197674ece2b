"""What a company says of itself."""

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
    """Change the profile; what is absent stays as it is.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions
    """
    wishes = {name: getattr(change, name) for name in ChangeCompany.__struct_fields__}
    wanted: dict[str, Any] = {name: value for name, value in wishes.items() if value is not UNSET}
    fields = tuple(wanted)
    if "description" in wanted:
        wanted["description_html"] = render(wanted["description"]) if wanted["description"] else None
    company = await lock_as_admin(work, company_id, actor_id=actor_id)
    if "name" in wanted:
        wanted["name"] = wanted["name"] or company.domain
    await work.session.execute(
        update(Company).where(Company.id == company_id).values(**wanted, updated_at=func.now())
    )
    work.record(CompanyEdited(company_id=company_id, fields=fields, actor_id=actor_id))
