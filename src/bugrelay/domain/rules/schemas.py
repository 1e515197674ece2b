"""Structs of workflow rules and runs: rows, arguments and results of use cases.

Conditions and actions have the same form on the wire and in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.infra.db.query import Row
from bugrelay.infra.validation import OneLine

MAX_RULES = 50  # of a company
MAX_POSITION = 10_000
MAX_CONDITIONS = 20
MAX_ACTIONS = 10
MAX_VALUES = 50  # of `in` and `not_in`
MAX_TEXT_LENGTH = 2000
MAX_IDLE_HOURS = 24 * 366

Trigger = Literal[
    "ticket.created", "ticket.changed", "ticket.status_changed", "ticket.commented", "ticket.idle"
]
IDLE: Trigger = "ticket.idle"
FieldName = Literal[
    "status",
    "category",
    "priority",
    "kind",
    "title",
    "description",
    "department",
    "tags",
    "projectId",
    "reporterId",
    "assigneeIds",
    "actorId",
    "isInternal",
    "commentCount",
    "attachmentCount",
    "ageHours",
]
Operator = Literal["eq", "ne", "in", "not_in", "contains", "gt", "lt", "empty", "changed_to"]
ActionType = Literal[
    "set_status",
    "set_priority",
    "set_department",
    "assign",
    "unassign",
    "add_tag",
    "remove_tag",
    "comment",
    "notify",
    "webhook",
]
Audience = Literal["assignees", "reporter", "admins"]
State = Literal["done", "skipped", "failed", "disabled"]

RuleName = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
Position = Annotated[int, Meta(ge=1, le=MAX_POSITION)]
IdleHours = Annotated[int, Meta(ge=1, le=MAX_IDLE_HOURS)]


class Condition(Struct):
    """A condition on the ticket or on the event.

    Attributes:
        field: The field to compare.
        op: The operator.
        value: The value to compare with; a list for `in` and `not_in`, true or false for `empty`.
    """

    field: FieldName
    op: Operator
    value: Any = None


_Conditions = Annotated[list[Condition], Meta(max_length=MAX_CONDITIONS)]


class Conditions(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Either `all` or `any`, not both; without conditions a rule always matches.

    Unknown keys are refused: with a misspelt one the rule would match everything.

    Attributes:
        all: All of these must hold.
        any: At least one of these must hold.
    """

    all: _Conditions | None = None
    any: _Conditions | None = None

    def each(self) -> Iterator[tuple[str, Condition]]:
        """Each with its path."""
        for name, group in (("all", self.all), ("any", self.any)):
            for index, condition in enumerate(group or ()):
                yield f"{name}[{index}]", condition


class Action(Struct, rename="camel", omit_defaults=True):
    """An action.

    Attributes:
        type: The kind of action.
        value: The status, priority, department or tag; null takes a department away.
        user_ids: Whom to assign, unassign or notify; `unassign` without them removes all.
        to: Groups to notify besides.
        text: The comment or mail, with the placeholders `{key}`, `{title}`, `{status}` and `{actor}`.
        is_internal: Whether only the company's members and admins may read the comment.
        webhook_id: The webhook to post to.
    """

    type: ActionType
    value: str | UnsetType | None = UNSET
    user_ids: Annotated[list[UUID], Meta(max_length=20)] | None = None
    to: Annotated[list[Audience], Meta(max_length=3)] | None = None
    text: str | None = None
    is_internal: bool = False
    webhook_id: UUID | None = None


Actions = Annotated[list[Action], Meta(min_length=1, max_length=MAX_ACTIONS)]


class NewRule(Struct, kw_only=True):
    """A rule to create; without a position it becomes the last."""

    name: str
    enabled: bool = True
    position: int | None = None
    project_id: UUID | None = None
    trigger: Trigger
    idle_hours: int | None = None
    conditions: Conditions
    actions: list[Action]


class RuleChanges(Struct, kw_only=True):
    """Changes of a rule; unset fields keep their values."""

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    position: int | UnsetType = UNSET
    project_id: UUID | UnsetType | None = UNSET
    trigger: Trigger | UnsetType = UNSET
    idle_hours: int | UnsetType | None = UNSET
    conditions: Conditions | UnsetType = UNSET
    actions: list[Action] | UnsetType = UNSET


class RuleDetail(Row):
    """A rule as its company's admins see it. Conditions and actions may have been stored by another release."""

    id: UUID
    name: str
    enabled: bool
    position: int
    project_id: UUID | None
    trigger: str
    idle_hours: int | None
    conditions: Any
    actions: Any
    disabled_reason: str | None
    disabled_at: datetime | None
    version: int
    created_by: UUID
    created_at: datetime
    updated_at: datetime


class Rule(Row):
    """What running a rule depends on."""

    id: UUID
    name: str
    project_id: UUID | None
    trigger: str
    idle_hours: int | None
    conditions: Any
    actions: Any
    active_since: datetime


class ActionResult(Struct, omit_defaults=True, rename="camel"):
    """The result of one action.

    Attributes:
        type: The kind of action.
        outcome: `done`; `unchanged` where there was nothing to change; `skipped` where it was impossible or forbidden.
        reason: Why it was skipped.
        told: The recipients of a `notify`.
        text: Its text, with placeholders.
    """

    type: str
    outcome: Literal["done", "unchanged", "skipped"]
    reason: str | None = None
    told: list[UUID] | None = None
    text: str | None = None


class Outcome(Struct, kw_only=True):
    """What a rule has done for an event, or would do.

    Attributes:
        rule: The rule.
        seq: The event's number in the company's stream; None where the ticket has no event for the trigger.
        state: `unmatched` where the rule does not apply.
        reason: Why it does nothing, or not everything.
        results: The results of its actions.
    """

    rule: Rule
    seq: int | None
    state: State | Literal["unmatched"]
    reason: str | None = None
    results: list[ActionResult] = []

    @property
    def acts(self) -> int:
        """How many of its actions changed something."""
        return sum(one.outcome == "done" for one in self.results)


class RunDetail(Row):
    """One run of a rule, as its company's admins see it."""

    id: UUID
    rule_id: UUID
    ticket_id: UUID
    ticket_key: str
    seq: int
    state: str
    reason: str | None
    results: Any
    at: datetime
