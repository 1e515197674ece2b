"""SELECTs for the reassignment of bugs with their application, in a durable subscriber's session."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.companies.models import Application


async def lock_company_of_application(session: AsyncSession, application_id: UUID) -> UUID | None:
    """The application's company, under a shared lock until the transaction ends; None for none."""
    return await session.scalar(
        select(Application.company_id).where(Application.id == application_id).with_for_update(read=True)
    )


async def lock_misassigned(
    session: AsyncSession, application_id: UUID, *, company_id: UUID | None, limit: int
) -> dict[UUID, UUID | None]:
    """Lock up to `limit` bugs of the application that are assigned to another company than this one.

    Returns:
        Their assigned companies by their ids.
    """
    misassigned = (
        select(Bug.id, Bug.assigned_company_id)
        .where(Bug.application_id == application_id, Bug.assigned_company_id.is_distinct_from(company_id))
        .order_by(Bug.id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return {bug.id: bug.assigned_company_id for bug in await session.execute(misassigned)}
