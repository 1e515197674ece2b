"""Audits changes of rules in the same transaction: rules act on all tickets of a company, and can call webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.moderation.models import Action
from bugrelay.domain.moderation.service.audit import Change, audit_company_acts
from bugrelay.domain.rules.events import WorkflowAdded, WorkflowChanged, WorkflowDisabled, WorkflowRemoved

Act: TypeAlias = WorkflowAdded | WorkflowChanged | WorkflowRemoved | WorkflowDisabled
_ACTIONS: dict[type[Act], Action] = {
    WorkflowAdded: "workflow_add",
    WorkflowChanged: "workflow_change",
    WorkflowRemoved: "workflow_remove",
    WorkflowDisabled: "workflow_disable",
}
AUDITED = tuple(_ACTIONS)
_AS_THEY_ARE = ("enabled", "position", "project_id", "trigger", "idle_hours")


async def audit_acts(session: AsyncSession, acts: Sequence[Act]) -> None:
    """Write an audit row for each act."""
    await audit_company_acts(
        session,
        acts,
        actions=_ACTIONS,
        resource="workflow",
        id_of=lambda act: act.rule_id,
        change_of=_change,
    )


def _change(act: Act) -> Change:
    match act:
        case WorkflowAdded(values=values):
            return None, dict(values)
        case WorkflowChanged(fields=fields, former=former, values=values):
            return dict(former), {"fields": list(fields), **values}
        case WorkflowRemoved(former=former):
            return dict(former), None
        case WorkflowDisabled(reason=reason):
            return {"enabled": True}, {"enabled": False, "disabled_reason": reason}


def audit_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The auditable values of stored fields of a rule, in whatever form a release has stored them."""
    return {name: value for name, value in fields.items() if name in _AS_THEY_ARE}


def audit_values_of_new(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The auditable values of validated fields, with the types of actions."""
    values = audit_values(fields)
    if "actions" in fields:
        values["actions"] = [action["type"] for action in fields["actions"]]
    return values
