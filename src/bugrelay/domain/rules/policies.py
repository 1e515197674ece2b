"""When a rule runs, and how far what it causes may go; pure functions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules.fields import Situation, holds
from bugrelay.domain.rules.schemas import IDLE, Action, Conditions, Rule

MAX_CHAIN = 5  # events that a rule's act may follow from
MAX_ACTS = 20  # of a rule on one ticket

_TRIGGERS = frozenset({"ticket.created", "ticket.changed", "ticket.status_changed"})


def trigger_of(event: Event) -> str | None:
    """The trigger of rules that an event sets off; None for events that set off none."""
    if event.type == "ticket.commented":
        return event.type if event.data.get("action") == "created" else None
    return event.type if event.type in _TRIGGERS else None


def name_in_chains(rule_id: UUID) -> str:
    return f"rule:{rule_id}"


def chain_of(event: Event) -> Sequence[str]:
    chain: Sequence[str] = event.cause["chain"]
    return chain


def follows_from(event: Event, rule: Rule) -> bool:
    """Whether the rule itself has caused the event, however far back."""
    return name_in_chains(rule.id) in chain_of(event)


def is_too_far(event: Event) -> bool:
    """Whether an event follows from so many others that no rule acts on it."""
    return sum(one.startswith("evt_") for one in chain_of(event)) >= MAX_CHAIN


def behind(rules: Sequence[Rule], ran: Collection[UUID]) -> Sequence[Rule]:
    """Those of these rules that come after the last of them that ran."""
    last = max((place for place, rule in enumerate(rules, 1) if rule.id in ran), default=0)
    return rules[last:]


def matches(rule: Rule, situation: Situation) -> bool:
    """
    Raises:
        msgspec.ValidationError, KeyError, TypeError: The conditions are of a form that this release does not know.
    """
    if rule.project_id is not None and rule.project_id != situation.ticket.project_id:
        return False
    if rule.trigger == IDLE and situation.ticket.category == "done":
        return False
    conditions = msgspec.convert(rule.conditions, Conditions)
    if conditions.any is not None:
        return any(holds(one, situation) for one in conditions.any)
    return all(holds(one, situation) for one in conditions.all or ())


def actions_of(rule: Rule) -> Sequence[Action]:
    """
    Raises:
        msgspec.ValidationError: They are of a form that this release does not know.
    """
    return msgspec.convert(rule.actions, list[Action])
