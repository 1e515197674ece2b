"""What has happened to workflow rules: facts in the past tense, with ids and values.

`actor_id` is who did it, None for what the rule did itself. Names and texts of rules may name people, and the audit log
is kept for ever: so facts hold none of them, and of actions the types alone. All happened at the time of their
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowAdded:
    """A company's admin made a rule."""

    rule_id: UUID
    company_id: UUID
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowChanged:
    """A company's admin changed these fields of a rule; `former` and `values` are what may be told of them."""

    rule_id: UUID
    company_id: UUID
    fields: Sequence[str]
    former: Mapping[str, Any]
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowRemoved:
    """A rule is gone: by a company's admin, or because a new claim began a new team."""

    rule_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowDisabled:
    """What a rule did, or would have done, has disabled it: "runs_wild"."""

    rule_id: UUID
    company_id: UUID
    reason: str
    actor_id: None = None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (
    WorkflowAdded,
    WorkflowChanged,
    WorkflowRemoved,
    WorkflowDisabled,
)
"""Facts that no cached response shows."""

WRITES_NO_EVENT = CHANGES_NOTHING_PUBLIC
"""Facts that the event log does not tell of; the audit log does."""
