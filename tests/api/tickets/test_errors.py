"""Errors of the ticket API name every invalid field, also inside of lists and objects, and say what it must be."""

from __future__ import annotations

from typing import Any

from tests.api.tickets.conftest import Caller

TICKET: dict[str, Any] = {"title": "The printer is out of paper"}
ACTION: dict[str, Any] = {"type": "add_tag", "value": "soon"}
RULE: dict[str, Any] = {"name": "Urgent", "trigger": "ticket.created", "actions": [ACTION]}
ACTION_TYPES = "add_tag, assign, comment, notify, remove_tag, set_department, set_priority, set_status, unassign, webhook"


async def test_a_sentence_says_what_each_field_must_be(boss: Caller) -> None:
    without_op = {"all": [{"field": "status"}]}
    for path, body, field, sentence in (
        ("projects", {"key": "DESK"}, "name", "is required"),
        ("projects", {"name": "Desk", "key": "d"}, "key", "must match the pattern ^[A-Z][A-Z0-9]{1,9}$"),
        ("tickets", TICKET | {"assigneeIds": "me"}, "assigneeIds", "must be a list or null"),
        ("tickets", TICKET | {"assigneeIds": ["me"]}, "assigneeIds[0]", "must be a UUID"),
        ("workflows", RULE | {"projectId": 5}, "projectId", "must be a UUID or null"),
        ("workflows", RULE | {"enabled": "yes"}, "enabled", "must be true, false or null"),
        ("workflows", RULE | {"idleHours": 1.5}, "idleHours", "must be a whole number or null"),
        ("workflows", RULE | {"actions": []}, "actions", "must not be empty"),
        ("workflows", RULE | {"actions": [ACTION] * 11}, "actions", "must have at most 10 items"),
        ("workflows", RULE | {"actions": ["x"]}, "actions[0]", "must be an object"),
        ("workflows", RULE | {"actions": [ACTION, {}]}, "actions[1]", "must have the field type"),
        ("workflows", RULE | {"actions": [{"type": 1}]}, "actions[0].type", f"must be one of {ACTION_TYPES}"),
        ("workflows", RULE | {"conditions": {"every": []}}, "conditions", "must not have the field every"),
        ("workflows", RULE | {"conditions": without_op}, "conditions.all[0]", "must have the field op"),
    ):
        details = await boss.refused(400, "VALIDATION_ERROR", "POST", path, body)
        assert details["fields"] == [{"field": field, "message": sentence}]
