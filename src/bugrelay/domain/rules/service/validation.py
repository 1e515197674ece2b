"""Validation of rules when they are saved: each problem is reported with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.rules import fields, repository
from bugrelay.domain.rules.schemas import IDLE, MAX_TEXT_LENGTH, Action, Condition, Conditions
from bugrelay.domain.tickets.schemes import PRIORITIES, known_statuses
from bugrelay.domain.webhooks.repository import find_webhook
from bugrelay.errors import FieldProblem, ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.text.normalising import UnusableText, normalise

MAX_DEPARTMENT_LENGTH = 100
MAX_BYTES = 16 * 1024  # of conditions: all rules of a company are read for each event that may trigger one
_Check = Callable[[Action], Action]


class _Problem(Exception):
    """An invalid field of an action."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(field, sentence)
        self.field, self.sentence = field, sentence


@contextmanager
def collecting_problems(problems: list[FieldProblem]) -> Iterator[None]:
    """Add the problems of the block to the list, so that all are reported at once."""
    try:
        yield
    except ValidationFailed as failed:
        problems += failed.fields or ()


def check_idle_hours(trigger: str, idle_hours: int | None) -> None:
    """
    Raises:
        ValidationFailed: `idle_hours` is missing for the trigger `ticket.idle`, or given for another one.
    """
    if trigger == IDLE and idle_hours is None:
        raise ValidationFailed.of("idle_hours", f"is required with {IDLE}")
    if trigger != IDLE and idle_hours is not None:
        raise ValidationFailed.of("idle_hours", f"is only for {IDLE}")


def validated_conditions(conditions: Conditions) -> Conditions:
    """The conditions in the form that is stored.

    Raises:
        ValidationFailed: Names all invalid fields.
    """
    if conditions.all and conditions.any:
        raise ValidationFailed.of("conditions", "must have either all or any, not both")
    kept: list[Condition] = []
    problems: list[FieldProblem] = []
    for path, condition in conditions.each():
        try:
            kept.append(fields.checked(condition))
        except fields.ConditionProblem as found:
            problems += [FieldProblem(f"conditions.{path}.{index}", said) for index, said in found.problems]
    if problems:
        raise ValidationFailed(problems)
    if len(msgspec.json.encode(kept)) > MAX_BYTES:
        raise ValidationFailed.of("conditions", f"must have at most {MAX_BYTES} bytes as JSON")
    return Conditions(any=kept) if conditions.any else Conditions(all=kept or None)


def _value(check: Callable[[Any], str]) -> _Check:
    """A check of an action that has one value."""

    def checked(action: Action) -> Action:
        try:
            return Action(action.type, value=check(action.value))
        except ValueError as error:
            raise _Problem("value", str(error)) from error

    return checked


def _usable(text: str | None, field: str, *, single_line: bool, max_length: int) -> str:
    try:
        kept = normalise(text or "", single_line=single_line, max_length=max_length)
    except UnusableText as error:
        raise _Problem(field, str(error)) from error
    if not 1 <= len(kept) <= max_length:
        raise _Problem(field, f"must have 1 to {max_length} characters")
    return kept


def _department(action: Action) -> Action:
    """Null clears the department."""
    if action.value is UNSET:
        raise _Problem("value", "is required; null takes the department away")
    if not action.value:
        return Action(action.type, value=None)
    value = _usable(action.value, "value", single_line=True, max_length=MAX_DEPARTMENT_LENGTH)
    return Action(action.type, value=value)


def _users(action: Action) -> list[UUID]:
    return list(dict.fromkeys(action.user_ids or ()))


def _assign(action: Action) -> Action:
    if not action.user_ids:
        raise _Problem("user_ids", "is required")
    return Action(action.type, user_ids=_users(action))


def _unassign(action: Action) -> Action:
    return Action(action.type, user_ids=_users(action) or None)


def _text_of(action: Action) -> str:
    return _usable(action.text, "text", single_line=False, max_length=MAX_TEXT_LENGTH)


def _comment(action: Action) -> Action:
    return Action(action.type, text=_text_of(action), is_internal=action.is_internal)


def _notify(action: Action) -> Action:
    to = list(dict.fromkeys(action.to or ()))
    if not to and not action.user_ids:
        raise _Problem("to", "or userIds is required")
    return Action(action.type, to=to or None, user_ids=_users(action) or None, text=_text_of(action))


def _webhook(action: Action) -> Action:
    if action.webhook_id is None:
        raise _Problem("webhook_id", "is required")
    return Action(action.type, webhook_id=action.webhook_id)


_CHECKS: Mapping[str, _Check] = {
    "set_status": _value(fields.one_of(known_statuses)),
    "set_priority": _value(fields.one_of(lambda: PRIORITIES)),
    "set_department": _department,
    "assign": _assign,
    "unassign": _unassign,
    "add_tag": _value(fields.tag),
    "remove_tag": _value(fields.tag),
    "comment": _comment,
    "notify": _notify,
    "webhook": _webhook,
}


async def validated_actions(reader: Reader, tenant: Tenant, actions: list[Action]) -> list[Action]:
    """The actions in the form that is stored. Users and webhooks must belong to the company.

    Raises:
        ValidationFailed: Names all invalid fields.
    """
    kept: list[Action] = []
    problems: list[FieldProblem] = []
    for index, action in enumerate(actions):
        try:
            kept.append(_CHECKS[action.type](action))
        except _Problem as found:
            problems.append(FieldProblem(f"actions[{index}].{found.field}", found.sentence))
    if not problems:
        problems = [
            *await _inactive_members(reader, tenant, kept),
            *await _unknown_webhooks(reader, tenant, kept),
        ]
    if problems:
        raise ValidationFailed(problems)
    return kept


async def _inactive_members(reader: Reader, tenant: Tenant, actions: list[Action]) -> list[FieldProblem]:
    """Problems for users to assign or notify who are no active members; users to unassign may have left."""
    named = {
        (index, number): user_id
        for index, action in enumerate(actions)
        for number, user_id in enumerate(action.user_ids or ())
        if action.type != "unassign"
    }
    if not named:
        return []
    members = {one.user_id for one in await repository.members_among(reader, tenant, [*named.values()])}
    return [
        FieldProblem(f"actions[{index}].user_ids[{number}]", "must be an active member of the company")
        for (index, number), user_id in named.items()
        if user_id not in members
    ]


async def _unknown_webhooks(reader: Reader, tenant: Tenant, actions: list[Action]) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for index, action in enumerate(actions):
        webhook_id = action.webhook_id
        if webhook_id is None:
            continue
        if await find_webhook(reader, company_id=tenant.company_id, webhook_id=webhook_id) is None:
            problems.append(FieldProblem(f"actions[{index}].webhook_id", "must be a webhook of the company"))
    return problems


async def check_project(reader: Reader, tenant: Tenant, project_id: UUID | None) -> None:
    """
    Raises:
        ValidationFailed: The company has no such project.
    """
    if project_id is not None and not await repository.is_project(reader, tenant, project_id):
        raise ValidationFailed.of("project_id", "must be a project of the company")
