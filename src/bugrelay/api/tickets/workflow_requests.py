"""What the routes of workflow rules read."""

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
        enabled: Whether it runs; it does where nothing is said.
        position: Its place among the others, the lower the earlier; the last where nothing is said.
        project_id: The project whose tickets it is for; left out, all of the company's.
        trigger: What sets it off.
        idle_hours: For `ticket.idle`: for how many hours nothing has happened to the ticket.
        conditions: What must hold then; nothing where nothing is said.
        actions: What is done then, in this order.
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
    """`PUT /workflows/{id}`: what is absent stays as it is.

    Attributes:
        name: Its name.
        enabled: Whether it runs.
        position: Its place among the others, the lower the earlier.
        project_id: The project whose tickets it is for; null for all of the company's.
        trigger: What sets it off.
        idle_hours: For `ticket.idle`: for how many hours nothing has happened to the ticket.
        conditions: What must hold then; null for nothing.
        actions: What is done then, in this order.
        version: The version that the change is meant for; another one is refused.
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
        ticket_id: A ticket, by id or key: each rule is tried at the last event of it that sets the rule off.
        event_id: An event of a ticket: all are tried at this one.
    """

    ticket_id: Words | None = None
    event_id: Words | None = None
