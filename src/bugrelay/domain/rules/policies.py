"""When a rule runs, and loop prevention; pure functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules.fields import EvaluationContext, holds
from bugrelay.domain.rules.schemas import IDLE, Action, Conditions, Rule

MAX_CHAIN = 5  # events in a causal chain
MAX_ACTS = 20  # of a rule on one ticket, within `repository.RATE_WINDOW`

_TRIGGERS = frozenset({"ticket.created", "ticket.changed", "ticket.status_changed"})


def trigger_of(event: Event) -> str | None:
    """The trigger that an event belongs to; None for events that trigger no rules."""
    if event.type == "ticket.commented":
        return event.type if event.data.get("action") == "created" else None
    return event.type if event.type in _TRIGGERS else None


def chain_entry(rule_id: UUID) -> str:
    return f"rule:{rule_id}"


def chain_of(event: Event) -> Sequence[str]:
    chain: Sequence[str] = event.cause["chain"]
    return chain


def is_caused_by(event: Event, rule: Rule) -> bool:
    """Whether the rule itself has caused the event, directly or indirectly."""
    return chain_entry(rule.id) in chain_of(event)


def is_chain_too_long(event: Event) -> bool:
    """Whether the event's causal chain has reached `MAX_CHAIN`."""
    return sum(one.startswith("evt_") for one in chain_of(event)) >= MAX_CHAIN


def remaining_after(rules: Sequence[Rule], ran: Collection[UUID]) -> Sequence[Rule]:
    """The rules after the last one that has run, in their order."""
    last = max((index for index, rule in enumerate(rules, 1) if rule.id in ran), default=0)
    return rules[last:]


def matches(rule: Rule, context: EvaluationContext) -> bool:
    """
    Raises:
        msgspec.ValidationError, KeyError, TypeError: The conditions were stored by another release.
    """
    if rule.project_id is not None and rule.project_id != context.ticket.project_id:
        return False
    if rule.trigger == IDLE and context.ticket.category == "done":
        return False
    conditions = msgspec.convert(rule.conditions, Conditions)
    if conditions.any is not None:
        return any(holds(one, context) for one in conditions.any)
    return all(holds(one, context) for one in conditions.all or ())


def actions_of(rule: Rule) -> Sequence[Action]:
    """
    Raises:
        msgspec.ValidationError: The actions were stored by another release.
    """
    return msgspec.convert(rule.actions, list[Action])
