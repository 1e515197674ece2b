"""Fields and operators of conditions; pure functions of a ticket and an event.

Texts are searched for plain substrings, never for patterns: the time is linear in the length of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules.schemas import MAX_VALUES, Condition, FieldName, Operator
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.domain.tickets.schemes import PRIORITIES, SCHEMES, known_statuses
from bugrelay.infra.ids import parse_id
from bugrelay.infra.text.normalising import UnusableText, normalise
from bugrelay.infra.text.tags import clean_tag

MAX_VALUE_LENGTH = 255
MAX_NUMBER = 1_000_000
SECONDS_AN_HOUR = 3600

Problem = tuple[str, str]
"""The invalid part of a condition (`op`, `value`, `value[2]`), and a message that begins with "must"."""


@dataclass(frozen=True, kw_only=True)
class EvaluationContext:
    """The ticket in its current state, and the event."""

    event: Event
    ticket: TicketState
    assignee_ids: Sequence[UUID]
    comment_count: int
    attachment_count: int
    created_at: datetime
    now: datetime

    @cached_property
    def title(self) -> str:
        return self.ticket.title.casefold()

    @cached_property
    def description(self) -> str:
        return self.ticket.description.casefold()

    @property
    def changes(self) -> Sequence[Mapping[str, Any]]:
        """The event's changes of fields: `{"field", "from", "to"}`."""
        if self.event.type == "ticket.status_changed":
            return ({"field": "status", **self.event.data},)
        changes: Sequence[Mapping[str, Any]] = self.event.data.get("changes", ())
        return changes


def one_of(words: Callable[[], Iterable[str]]) -> Callable[[Any], str]:
    """A check: one of these words."""

    def check(value: Any) -> str:
        known = tuple(words())
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return str(value)

    return check


def _categories() -> Iterable[str]:
    return dict.fromkeys(category for scheme in SCHEMES.values() for category in scheme.statuses.values())


def _kinds() -> Iterable[str]:
    return dict.fromkeys(kind for scheme in SCHEMES.values() for kind in scheme.kinds)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - as checks do
    try:
        text = normalise(value, single_line=True, max_length=MAX_VALUE_LENGTH)
    except UnusableText as error:
        raise ValueError(str(error)) from error
    if not 1 <= len(text) <= MAX_VALUE_LENGTH:
        raise ValueError(f"must have 1 to {MAX_VALUE_LENGTH} characters")
    return text


def tag(value: Any) -> str:
    """A check: a tag, cleaned."""
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - as checks do
    try:
        return clean_tag(value)
    except UnusableText as error:
        raise ValueError(str(error)) from error


def _id(value: Any) -> str:
    found = parse_id(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a UUID")
    return str(found)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - as checks do
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"must be a whole number from 0 to {MAX_NUMBER}")
    return value


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field that conditions can compare.

    Attributes:
        ops: Its operators.
        check: Validates one value of a condition: returns the value to store, or raises ValueError.
        read: Its current value: a list for fields with several values, texts case-folded.
        event_name: Its name in events.
        rank: The order for `gt` and `lt`.
    """

    ops: frozenset[Operator]
    check: Callable[[Any], Any]
    read: Callable[[EvaluationContext], Any]
    event_name: str | None = None
    rank: Callable[[Any], Any] = lambda value: value


_IS: frozenset[Operator] = frozenset({"eq", "ne", "in", "not_in"})
_CHANGES: frozenset[Operator] = frozenset({"changed_to"})
_EMPTY: frozenset[Operator] = frozenset({"empty"})
_LIST: frozenset[Operator] = frozenset({"in", "not_in", "contains", "empty", "changed_to"})
_NUMBER: frozenset[Operator] = frozenset({"eq", "ne", "gt", "lt"})
_TEXT: frozenset[Operator] = frozenset({"eq", "ne", "contains"})


def _folded(value: Any) -> str:
    return _text(value).casefold()


def _id_text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


FIELDS: Mapping[FieldName, Field] = {
    "status": Field(
        ops=_IS | _CHANGES,
        check=one_of(known_statuses),
        read=lambda one: one.ticket.status,
        event_name="status",
    ),
    "category": Field(ops=_IS, check=one_of(_categories), read=lambda one: one.ticket.category),
    "priority": Field(
        ops=_IS | _CHANGES | {"gt", "lt"},
        check=one_of(lambda: PRIORITIES),
        read=lambda one: one.ticket.priority,
        event_name="priority",
        rank=lambda value: -PRIORITIES.index(value),
    ),
    "kind": Field(ops=_IS, check=one_of(_kinds), read=lambda one: one.ticket.kind),
    "title": Field(ops=_TEXT, check=_folded, read=lambda one: one.title),
    "description": Field(ops=_TEXT | _EMPTY, check=_folded, read=lambda one: one.description),
    "department": Field(
        ops=_IS | _EMPTY | _CHANGES,
        check=_text,
        read=lambda one: one.ticket.department,
        event_name="department",
    ),
    "tags": Field(ops=_LIST, check=tag, read=lambda one: one.ticket.tags, event_name="tags"),
    "projectId": Field(
        ops=_IS | _CHANGES,
        check=_id,
        read=lambda one: str(one.ticket.project_id),
        event_name="project_id",
    ),
    "reporterId": Field(ops=_IS, check=_id, read=lambda one: str(one.ticket.reporter_id)),
    "assigneeIds": Field(
        ops=_LIST,
        check=_id,
        read=lambda one: [str(user_id) for user_id in one.assignee_ids],
        event_name="assignee_ids",
    ),
    "actorId": Field(ops=_IS | _EMPTY, check=_id, read=lambda one: _id_text(one.event.actor_id)),
    "isInternal": Field(
        ops=frozenset({"eq", "ne"}), check=_boolean, read=lambda one: one.event.visibility == "internal"
    ),
    "commentCount": Field(ops=_NUMBER, check=_number, read=lambda one: one.comment_count),
    "attachmentCount": Field(ops=_NUMBER, check=_number, read=lambda one: one.attachment_count),
    "ageHours": Field(
        ops=_NUMBER,
        check=_number,
        read=lambda one: int((one.now - one.created_at).total_seconds() // SECONDS_AN_HOUR),
    ),
}


def checked(condition: Condition) -> Condition:
    """The condition with its value in the form that is stored.

    Raises:
        ConditionProblem: Names all invalid parts.
    """
    field = FIELDS[condition.field]
    if condition.op not in field.ops:
        ops = ", ".join(sorted(field.ops))
        raise ConditionProblem([("op", f"must be one of {ops} for {condition.field}")])
    if condition.op == "empty":
        return _with(condition, [("value", True if condition.value is None else condition.value)], _boolean)
    if condition.op not in ("in", "not_in"):
        return _with(condition, [("value", condition.value)], field.check)
    values = condition.value
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
        raise ConditionProblem([("value", f"must be a list of 1 to {MAX_VALUES} values")])
    return _with(condition, [(f"value[{path}]", one) for path, one in enumerate(values)], field.check)


class ConditionProblem(Exception):
    """A condition is invalid; has all of its problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def _with(condition: Condition, values: Sequence[tuple[str, Any]], check: Callable[[Any], Any]) -> Condition:
    kept: list[Any] = []
    problems: list[Problem] = []
    for path, value in values:
        try:
            kept.append(check(value))
        except ValueError as error:
            problems.append((path, str(error)))
    if problems:
        raise ConditionProblem(problems)
    is_list = condition.op in ("in", "not_in")
    return Condition(condition.field, condition.op, kept if is_list else kept[0])


def holds(condition: Condition, context: EvaluationContext) -> bool:
    """Whether a condition that was `checked` is true."""
    field = FIELDS[condition.field]
    if condition.op == "changed_to":
        return any(_changes_to(field, change, condition.value) for change in context.changes)
    return _COMPARISONS[condition.op](field, field.read(context), condition.value)


def _changes_to(field: Field, change: Mapping[str, Any], value: Any) -> bool:
    """Whether the field was changed to the value; for a list, whether the value was added."""
    if change.get("field") != field.event_name or "to" not in change:
        return False
    former, new = change.get("from"), change["to"]
    if isinstance(new, list):
        return value in new and value not in (former or ())
    return bool(new == value)


def _among(_field: Field, found: Any, values: Sequence[Any]) -> bool:
    return any(one in values for one in found) if isinstance(found, list) else found in values


_COMPARISONS: Mapping[str, Callable[[Field, Any, Any], bool]] = {
    "eq": lambda _field, found, value: found == value,
    "ne": lambda _field, found, value: found != value,
    "in": _among,
    "not_in": lambda field, found, values: not _among(field, found, values),
    "contains": lambda _field, found, value: value in found,
    "gt": lambda field, found, value: field.rank(found) > field.rank(value),
    "lt": lambda field, found, value: field.rank(found) < field.rank(value),
    "empty": lambda _field, found, value: (not found) is value,
}
