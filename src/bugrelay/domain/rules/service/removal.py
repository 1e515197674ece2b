"""Removal of rules, by an admin or with their team, and of old runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import lock_as_tenant_admin
from bugrelay.domain.rules.errors import WorkflowNotFound
from bugrelay.domain.rules.events import WorkflowRemoved
from bugrelay.domain.rules.models import WorkflowRule, WorkflowRun
from bugrelay.domain.rules.service.audit import audit_values
from bugrelay.infra.db.unit_of_work import UnitOfWork

KEPT_FOR = timedelta(days=30)
_AUDITED = (
    WorkflowRule.id,
    WorkflowRule.company_id,
    WorkflowRule.enabled,
    WorkflowRule.position,
    WorkflowRule.project_id,
    WorkflowRule.trigger,
    WorkflowRule.idle_hours,
)


async def remove_rule(work: UnitOfWork, tenant: Tenant, rule_id: UUID) -> None:
    """Remove a rule; its past changes stay.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, WorkflowNotFound
    """
    await lock_as_tenant_admin(work, tenant)
    removed = await _remove(
        work.session,
        {tenant.company_id: tenant.user_id},
        WorkflowRule.company_id == tenant.company_id,
        WorkflowRule.id == rule_id,
    )
    if not removed:
        raise WorkflowNotFound
    work.record(*removed)


async def remove_rules_of(session: AsyncSession, actors: Mapping[UUID, UUID]) -> Sequence[WorkflowRemoved]:
    """Remove all rules of these companies: a new team does not inherit those of the previous one.

    Args:
        session: The transaction.
        actors: The acting user, by company.
    """
    return await _remove(session, actors, WorkflowRule.company_id.in_(actors))


async def _remove(
    session: AsyncSession, actors: Mapping[UUID, UUID], *conditions: ColumnElement[bool]
) -> Sequence[WorkflowRemoved]:
    removing = delete(WorkflowRule).where(*conditions).returning(*_AUDITED)
    rows = await session.execute(removing, execution_options={"synchronize_session": False})
    return [
        WorkflowRemoved(
            rule_id=row["id"],
            company_id=row["company_id"],
            former=audit_values(row),
            actor_id=actors[row["company_id"]],
        )
        for row in map(dict, rows.mappings())
    ]


async def remove_old_runs(work: UnitOfWork, *, limit: int) -> int:
    """Delete a batch of runs older than 30 days; returns how many. Events of that age trigger no rules any more."""
    old = select(WorkflowRun.id).where(WorkflowRun.at < func.now() - KEPT_FOR).limit(limit)
    removing = delete(WorkflowRun).where(WorkflowRun.id.in_(old)).returning(WorkflowRun.id)
    return len((await work.session.execute(removing, execution_options={"synchronize_session": False})).all())
