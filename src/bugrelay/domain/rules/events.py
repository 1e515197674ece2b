"""Facts of workflow rules: ids and values.

`actor_id` is who did it, None for the system. Names and texts of rules may contain personal data, and the audit log is
kept for ever: so facts have neither, and of actions only the types. The time of a fact is that of its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowAdded:
    """A company's admin created a rule."""

    rule_id: UUID
    company_id: UUID
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowChanged:
    """A company's admin changed these fields of a rule; `former` and `values` have what may be audited of them."""

    rule_id: UUID
    company_id: UUID
    fields: Sequence[str]
    former: Mapping[str, Any]
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowRemoved:
    """A rule was removed: by a company's admin, or because a new team has taken the company over."""

    rule_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WorkflowDisabled:
    """The system has disabled a rule: `runs_wild`."""

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
"""Facts that do not become events of the log; they are in the audit log."""
