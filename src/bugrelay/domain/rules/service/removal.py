"""Rules that go with what they belonged to, and runs that are old."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.rules.models import WorkflowRule, WorkflowRun
from bugrelay.infra.db.unit_of_work import UnitOfWork

KEPT_FOR = timedelta(days=30)


async def remove_rules_of(session: AsyncSession, company_ids: Collection[UUID]) -> None:
    """All rules of these companies: a team that starts anew has none of the former one's."""
    removing = delete(WorkflowRule).where(WorkflowRule.company_id.in_(company_ids))
    await session.execute(removing, execution_options={"synchronize_session": False})


async def remove_old_runs(work: UnitOfWork, *, limit: int) -> int:
    """Delete some of the runs that are older than 30 days; gives how many. An event as old sets no rule off."""
    old = select(WorkflowRun.id).where(WorkflowRun.at < func.now() - KEPT_FOR).limit(limit)
    removing = delete(WorkflowRun).where(WorkflowRun.id.in_(old)).returning(WorkflowRun.id)
    return len((await work.session.execute(removing, execution_options={"synchronize_session": False})).all())
