"""What conditions look at and how they compare it; pure functions of a ticket and of what happened to it.

Texts are compared by plain search, without patterns: a condition takes time in proportion to the text.
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
"""Where a condition does not fit (`op`, `value`, `value[2]`), and "must …"."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A ticket as it stands, and what happened to it."""

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
        """Of fields, each with its former and its new value, as events have them."""
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
    """Something that conditions may look at.

    Attributes:
        ops: How it may be compared.
        check: Ends the reading of one value that it is compared with: returns the one to keep, raises ValueError.
        read: What it is; a list, where there may be several, a text in lower case.
        event_name: What it is called in events that change it.
        rank: What `gt` and `lt` compare.
    """

    ops: frozenset[Operator]
    check: Callable[[Any], Any]
    read: Callable[[Situation], Any]
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
    """The condition with its value as it is kept.

    Raises:
        ConditionProblem: Names everything that does not fit.
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
    return _with(condition, [(f"value[{place}]", one) for place, one in enumerate(values)], field.check)


class ConditionProblem(Exception):
    """A condition that does not fit, and where."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def _with(condition: Condition, values: Sequence[tuple[str, Any]], check: Callable[[Any], Any]) -> Condition:
    kept: list[Any] = []
    problems: list[Problem] = []
    for place, value in values:
        try:
            kept.append(check(value))
        except ValueError as error:
            problems.append((place, str(error)))
    if problems:
        raise ConditionProblem(problems)
    is_list = condition.op in ("in", "not_in")
    return Condition(condition.field, condition.op, kept if is_list else kept[0])


def holds(condition: Condition, situation: Situation) -> bool:
    """Whether a condition that was `checked` holds."""
    field = FIELDS[condition.field]
    if condition.op == "changed_to":
        return any(_changes_to(field, change, condition.value) for change in situation.changes)
    return _COMPARISONS[condition.op](field, field.read(situation), condition.value)


def _changes_to(field: Field, change: Mapping[str, Any], value: Any) -> bool:
    """Of a list, whether the value has come to it."""
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
