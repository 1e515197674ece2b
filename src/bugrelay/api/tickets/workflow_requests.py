"""Requests of workflow rules."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from bugrelay.api.tickets.requests import Version
from bugrelay.domain.rules.schemas import (
    Actions,
    Conditions,
    IdleHours,
    NewRule,
    Position,
    RuleChanges,
    RuleName,
    Trigger,
)
from bugrelay.domain.tickets.schemas import Words


class CreateWorkflow(Struct, kw_only=True, rename="camel"):
    """`POST /workflows`.

    Attributes:
        name: Its name.
        enabled: Whether it is enabled; true by default.
        position: Its position: lower ones run first; by default the last.
        project_id: Only tickets of this project; by default all of the company's.
        trigger: The trigger.
        idle_hours: For `ticket.idle`: the hours without events.
        conditions: The conditions; by default none.
        actions: The actions, in this order.
    """

    name: RuleName
    enabled: bool | None = None
    position: Position | None = None
    project_id: UUID | None = None
    trigger: Trigger
    idle_hours: IdleHours | None = None
    conditions: Conditions | None = None
    actions: Actions

    def wanted(self) -> NewRule:
        return NewRule(
            name=self.name,
            enabled=self.enabled is not False,
            position=self.position,
            project_id=self.project_id,
            trigger=self.trigger,
            idle_hours=self.idle_hours,
            conditions=self.conditions or Conditions(),
            actions=self.actions,
        )


class UpdateWorkflow(Struct, kw_only=True, rename="camel"):
    """`PUT /workflows/{id}`: fields that are left out keep their values.

    Attributes:
        name: Its name.
        enabled: Whether it is enabled.
        position: Its position: lower ones run first.
        project_id: Only tickets of this project; null for all of the company's.
        trigger: The trigger.
        idle_hours: For `ticket.idle`: the hours without events.
        conditions: The conditions; null for none.
        actions: The actions, in this order.
        version: The version that the change is based on; 412 where the current one differs.
    """

    name: RuleName | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    project_id: UUID | UnsetType | None = UNSET
    trigger: Trigger | UnsetType = UNSET
    idle_hours: IdleHours | UnsetType | None = UNSET
    conditions: Conditions | UnsetType | None = UNSET
    actions: Actions | UnsetType = UNSET
    version: Version | None = None

    def wanted(self) -> RuleChanges:
        return RuleChanges(
            name=self.name,
            enabled=self.enabled,
            position=self.position,
            project_id=self.project_id,
            trigger=self.trigger,
            idle_hours=self.idle_hours,
            conditions=self.conditions if self.conditions is not None else Conditions(),
            actions=self.actions,
        )


class TryWorkflows(Struct, kw_only=True, rename="camel"):
    """`POST /workflows/test`: one of the two.

    Attributes:
        ticket_id: A ticket, by id or key: each rule is run for its last event that triggers the rule.
        event_id: An event of a ticket: all rules are run for it.
    """

    ticket_id: Words | None = None
    event_id: Words | None = None
