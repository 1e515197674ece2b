"""Responses of workflow rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from bugrelay.api.tickets.responses import PageOut, written_as
from bugrelay.domain.rules.schemas import Outcome, RuleDetail, RunDetail


class WorkflowOut(Struct, kw_only=True, rename="camel"):
    """A workflow rule.

    Attributes:
        id: The rule's id.
        name: Its name.
        enabled: Whether it is enabled.
        position: Its position: lower ones run first.
        project_id: Only tickets of this project; null for all of the company's.
        trigger: The trigger.
        idle_hours: For `ticket.idle`: the hours without events.
        conditions: `all` or `any` of a list of `{field, op, value}`; empty without conditions.
        actions: The actions, in this order.
        disabled_reason: `runs_wild` where it has changed one ticket too often; else null.
        disabled_at: When it was disabled for that reason.
        version: The version; rises with each change.
        created_by: The admin who created it.
        created_at: When it was created.
        updated_at: When it was last changed.
    """

    id: UUID
    name: str
    enabled: bool
    position: int
    project_id: UUID | None
    trigger: str
    idle_hours: int | None
    conditions: dict[str, Any]
    actions: list[dict[str, Any]]
    disabled_reason: str | None
    disabled_at: datetime | None
    version: int
    created_by: UUID
    created_at: datetime
    updated_at: datetime


class WorkflowResponse(Struct):
    """One workflow rule.

    Attributes:
        workflow: The rule.
    """

    workflow: WorkflowOut


class WorkflowList(Struct):
    """A page of workflow rules.

    Attributes:
        workflows: In the order in which they run.
        pagination: The page's position in the list.
    """

    workflows: list[WorkflowOut]
    pagination: PageOut


class ActionOut(Struct, rename="camel"):
    """The result of one action of a rule, or of a dry run.

    Attributes:
        type: What it is.
        outcome: `done`; `unchanged` where there was nothing to change; `skipped` where it was impossible or forbidden.
        reason: Why it was skipped; else null.
    """

    type: str
    outcome: str
    reason: str | None = None


class RunTicket(Struct):
    """The ticket of a run.

    Attributes:
        id: The ticket's id.
        key: Its key.
    """

    id: UUID
    key: str


class RunOut(Struct, kw_only=True, rename="camel"):
    """One run of a workflow rule.

    Attributes:
        id: The run's id.
        workflow_id: The rule.
        ticket: The ticket that it ran for.
        event_id: The event that triggered it; for an idle ticket its last one.
        state: `done`; `skipped` where nothing could be done; `failed`; `disabled` where it reached the limit of acts.
        reason: Why not everything was done; else null.
        actions: The results of the actions.
        at: When.
    """

    id: UUID
    workflow_id: UUID
    ticket: RunTicket
    event_id: str
    state: str
    reason: str | None
    actions: list[ActionOut]
    at: datetime


class RunList(Struct):
    """A page of runs.

    Attributes:
        runs: Newest first.
        pagination: The page's position in the list.
    """

    runs: list[RunOut]
    pagination: PageOut


class TrialOut(Struct, kw_only=True, rename="camel"):
    """The result of a dry run of a workflow rule.

    Attributes:
        workflow_id: The rule.
        name: Its name.
        event_id: The event of the dry run; null where the ticket has none for the trigger.
        state: The state of the run, or `unmatched` where there would be none.
        reason: Why not everything would be done; else null.
        actions: The results of the actions.
    """

    workflow_id: UUID
    name: str
    event_id: str | None
    state: str
    reason: str | None
    actions: list[ActionOut]


class TrialList(Struct):
    """Results of dry runs.

    Attributes:
        results: In the order in which the rules run.
    """

    results: list[TrialOut]


def workflow_written(rule: RuleDetail) -> WorkflowOut:
    return written_as(WorkflowOut, rule)


def run_written(run: RunDetail, *, company_id: UUID) -> RunOut:
    return RunOut(
        id=run.id,
        workflow_id=run.rule_id,
        ticket=RunTicket(run.ticket_id, run.ticket_key),
        event_id=f"evt_{company_id}_{run.seq}",
        state=run.state,
        reason=run.reason,
        actions=[written_as(ActionOut, one) for one in run.results],
        at=run.at,
    )


def trials_written(outcomes: Iterable[Outcome], *, company_id: UUID) -> TrialList:
    return TrialList(
        [
            TrialOut(
                workflow_id=one.rule.id,
                name=one.rule.name,
                event_id=f"evt_{company_id}_{one.seq}" if one.seq is not None else None,
                state=one.state,
                reason=one.reason,
                actions=[ActionOut(result.type, result.outcome, result.reason) for result in one.results],
            )
            for one in outcomes
        ]
    )
