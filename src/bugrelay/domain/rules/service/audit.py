"""What is done to rules is in the audit log, in the transaction that does it: they act on all tickets of a company, and
can tell webhooks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.moderation.models import Action
from bugrelay.domain.moderation.service.audit import write_company_audit
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
    """A row for each; `after` names the company, or `before` where the rule is gone."""
    for act in acts:
        before, after = _change(act)
        await write_company_audit(
            session,
            act.actor_id,
            _ACTIONS[type(act)],
            company_id=act.company_id,
            resource="workflow",
            resource_id=act.rule_id,
            before=before,
            after=after,
        )


def _change(act: Act) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    match act:
        case WorkflowAdded(values=values):
            return None, dict(values)
        case WorkflowChanged(fields=fields, former=former, values=values):
            return dict(former), {"fields": list(fields), **values}
        case WorkflowRemoved(former=former):
            return dict(former), None
        case WorkflowDisabled(reason=reason):
            return {"enabled": True}, {"enabled": False, "disabled_reason": reason}


def told_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What facts hold of the fields of a rule, in whatever form an older release stored them."""
    return {name: value for name, value in fields.items() if name in _AS_THEY_ARE}


def told_of_new(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same of fields that have just been checked, with the types of actions."""
    told = told_of(fields)
    if "actions" in fields:
        told["actions"] = [action["type"] for action in fields["actions"]]
    return told
