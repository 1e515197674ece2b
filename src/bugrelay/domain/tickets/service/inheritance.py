"""A new team that verifies a company's domain does not inherit the tickets of the previous team."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.tickets.errors import CompanyHasTickets
from bugrelay.domain.tickets.models import Project


async def refuse_new_team(session: AsyncSession, claimed: Sequence[CompanyClaimed]) -> None:
    """A domain can be sold. So a claim by a user who was not on the team fails if there are projects; the operator can
    hand the company over (`bugrelay add-member`).

    Raises:
        CompanyHasTickets
    """
    new = [claim.company_id for claim in claimed if claim.starts_new_team]
    if not new:
        return
    kept = select(Project.id).where(Project.company_id.in_(new)).limit(1)
    if (await session.scalar(kept)) is not None:
        raise CompanyHasTickets
