"""Use cases of admins for workflow rules. Each locks the company, so that the limit of rules holds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict
from sqlalchemy import func, null, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.companies.service.tenants import lock_as_tenant_admin
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.errors import TooManyWorkflows, WorkflowNotFound
from bugrelay.domain.rules.events import WorkflowAdded, WorkflowChanged
from bugrelay.domain.rules.models import WorkflowRule
from bugrelay.domain.rules.schemas import IDLE, MAX_POSITION, MAX_RULES, NewRule, RuleChanges, RuleDetail
from bugrelay.domain.rules.service.audit import audit_values, audit_values_of_new
from bugrelay.domain.rules.service.validation import (
    check_idle_hours,
    check_project,
    collecting_problems,
    validated_actions,
    validated_conditions,
)
from bugrelay.domain.tickets.service.locking import Expected, require_version
from bugrelay.errors import FieldProblem, ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id

_RESTARTING = frozenset({"enabled", "trigger", "idle_hours"})


async def create_rule(work: UnitOfWork, tenant: Tenant, wanted: NewRule) -> UUID:
    """Create a rule; returns its id. It runs for events from now on.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, TooManyWorkflows
        ValidationFailed: Names all invalid fields.
    """
    await lock_as_tenant_admin(work, tenant)
    values = await _checked(work, tenant, asdict(wanted))
    if await repository.count_rules(work, tenant) >= MAX_RULES:
        raise TooManyWorkflows
    if values["position"] is None:
        values["position"] = min(await repository.last_position(work, tenant) + 1, MAX_POSITION)
    rule_id = new_id()
    work.session.add(
        WorkflowRule(
            id=rule_id,
            company_id=tenant.company_id,
            created_by=tenant.user_id,
            idle_seq=await _idle_start(work, tenant, values),
            **values,
        )
    )
    work.record(
        WorkflowAdded(
            rule_id=rule_id,
            company_id=tenant.company_id,
            values=audit_values_of_new(values),
            actor_id=tenant.user_id,
        )
    )
    return rule_id


async def change_rule(
    work: UnitOfWork, tenant: Tenant, rule_id: UUID, wanted: RuleChanges, *, expected: Expected = None
) -> None:
    """Apply changes. A rule that is enabled again runs for events from now on.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, WorkflowNotFound, VersionConflict
        ValidationFailed: Names all invalid fields.
    """
    await lock_as_tenant_admin(work, tenant)
    rule = await repository.lock_rule(work, tenant, rule_id)
    if rule is None:
        raise WorkflowNotFound
    await require_version(
        expected,
        current=rule.version,
        changed_since=lambda seen: repository.fields_changed(work, rule_id, changes=rule.version - seen),
    )
    sent = {name: value for name, value in asdict(wanted).items() if value is not UNSET}
    values = await _checked(work, tenant, sent, previous=rule)
    changes = {name: value for name, value in values.items() if value != getattr(rule, name)}
    if not changes:
        return
    work.record(
        WorkflowChanged(
            rule_id=rule_id,
            company_id=tenant.company_id,
            fields=sorted(changes),
            former=audit_values({name: getattr(rule, name) for name in changes}),
            values=audit_values_of_new(changes),
            actor_id=tenant.user_id,
        )
    )
    await _write(work, tenant, rule, changes)


async def _write(work: UnitOfWork, tenant: Tenant, rule: RuleDetail, changes: dict[str, Any]) -> None:
    """Store changes, with the columns that depend on them."""
    values = dict(changes)
    if _RESTARTING.intersection(changes):
        values["active_since"] = func.now()
        values["idle_seq"] = await _idle_start(work, tenant, {**_idle_fields(rule), **changes})
    if "enabled" in changes:
        values |= {"disabled_reason": null(), "disabled_at": null()}
    await work.session.execute(
        update(WorkflowRule)
        .where(WorkflowRule.company_id == tenant.company_id, WorkflowRule.id == rule.id)
        .values(**values, version=rule.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _idle_fields(rule: RuleDetail) -> dict[str, Any]:
    return {"trigger": rule.trigger, "idle_hours": rule.idle_hours}


async def _checked(
    work: UnitOfWork, tenant: Tenant, sent: dict[str, Any], *, previous: RuleDetail | None = None
) -> dict[str, Any]:
    """The validated values in the form that is stored; `previous` completes what was not sent."""
    values = dict(sent)
    bound = {**({} if previous is None else _idle_fields(previous)), **sent}
    if bound["trigger"] != IDLE and "idle_hours" not in sent:
        values["idle_hours"] = bound["idle_hours"] = None
    problems: list[FieldProblem] = []
    with collecting_problems(problems):
        check_idle_hours(bound["trigger"], bound["idle_hours"])
    with collecting_problems(problems):
        await check_project(work, tenant, sent.get("project_id"))
    with collecting_problems(problems):
        if "conditions" in sent:
            values["conditions"] = msgspec.to_builtins(validated_conditions(sent["conditions"]))
    with collecting_problems(problems):
        if "actions" in sent:
            values["actions"] = msgspec.to_builtins(await validated_actions(work, tenant, sent["actions"]))
    if problems:
        raise ValidationFailed(problems)
    return values


async def _idle_start(work: UnitOfWork, tenant: Tenant, values: dict[str, Any]) -> int | None:
    """The position after which events are checked: tickets that are idle already are not affected."""
    if values["trigger"] != IDLE:
        return None
    return await repository.last_aged_seq(work, tenant.company_id, hours=values["idle_hours"])
