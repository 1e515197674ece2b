"""Admins create workflow rules, get errors with the path of each invalid field, and try rules before they run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bugrelay.domain.rules.schemas import MAX_RULES
from tests.api.tickets.conftest import Caller, Join, Sql
from tests.factories import Person
from tests.roles.world import all_rows

NOBODY = "00000000-0000-7000-8000-000000000000"
SOON: dict[str, Any] = {"type": "add_tag", "value": " Soon "}
RULE: dict[str, Any] = {"name": "Urgent", "trigger": "ticket.created", "actions": [SOON]}


async def test_a_rule_is_made_shown_changed_and_removed(boss: Caller) -> None:
    body = RULE | {
        "conditions": {
            "any": [
                {"field": "title", "op": "contains", "value": " PRINTER "},
                {"field": "department", "op": "empty"},
            ]
        }
    }
    made = await boss.call("POST", "workflows", body)
    assert made.status_code == 201
    rule = made.json()["workflow"]
    assert (rule["enabled"], rule["position"], rule["projectId"], rule["idleHours"]) == (True, 1, None, None)
    assert rule["conditions"] == {
        "any": [
            {"field": "title", "op": "contains", "value": "printer"},
            {"field": "department", "op": "empty", "value": True},
        ]
    }
    assert (rule["actions"], rule["createdBy"]) == ([{"type": "add_tag", "value": "soon"}], boss.id)
    path = f"workflows/{rule['id']}"
    shown = await boss.call("GET", path)
    assert (shown.json()["workflow"], shown.headers["etag"]) == (rule, '"1"')
    changed = await boss.done("PUT", path, {"trigger": "ticket.idle", "idleHours": 24}, If_Match='"1"')
    assert (changed["trigger"], changed["idleHours"], changed["version"]) == ("ticket.idle", 24, 2)
    stale = await boss.refused(412, "VERSION_CONFLICT", "PUT", path, {"name": "x", "version": 1})
    assert (stale["version"], stale["changedFields"]) == (2, ["idleHours", "trigger"])
    same = await boss.done("PUT", path, {"name": "Urgent", "idleHours": 24})
    assert same["version"] == 2
    again = await boss.done("PUT", path, {"trigger": "ticket.changed", "conditions": None})
    assert (again["idleHours"], again["conditions"]) == (None, {})
    stale = await boss.refused(412, "VERSION_CONFLICT", "PUT", path, {"name": "x"}, If_Match='"2"')
    assert (stale["version"], stale["changedFields"]) == (3, ["conditions", "idleHours", "trigger"])
    second = await boss.done("POST", "workflows", RULE)
    assert [one["id"] for one in await boss.done("GET", "workflows")] == [rule["id"], second["id"]]
    await boss.done("PUT", path, {"position": 10_000})
    third = await boss.done("POST", "workflows", RULE)
    assert third["position"] == 10_000  # equals run by age
    ids = [one["id"] for one in (second, rule, third)]
    assert [one["id"] for one in await boss.done("GET", "workflows")] == ids
    assert await boss.done("DELETE", path) == "Workflow removed successfully"
    await boss.refused(404, "WORKFLOW_NOT_FOUND", "GET", path)


async def test_what_admins_do_is_in_the_audit_log_without_what_rules_say(
    boss: Caller, admin: Person, company_id: str, sql: Sql
) -> None:
    canary = {"field": "title", "op": "contains", "value": "canary"}
    says = {"type": "comment", "text": "canary"}
    body = RULE | {"name": "canary", "conditions": {"all": [canary]}, "actions": [SOON, says]}
    rule = await boss.done("POST", "workflows", body)
    path = f"workflows/{rule['id']}"
    await boss.done("PUT", path, {"name": "canary", "enabled": True})
    await boss.done("PUT", path, {"name": "The canary", "position": 7, "actions": [says]})
    await boss.done("PUT", path, {"conditions": None})
    sql.execute("UPDATE workflow_rules SET actions = '[7]', conditions = '{\"all\": 7}'")  # another release's
    await boss.done("PUT", path, {"actions": [SOON]})
    await boss.done("DELETE", path)
    await boss.call("POST", "workflows", RULE | {"position": 0})
    response = await Caller(boss.client, admin).call("GET", "admin/audit-logs?resource=workflow")
    logs = response.json()["logs"]
    shown = {"enabled": True, "position": 1, "project_id": None, "trigger": "ticket.created"}
    rest = {"idle_hours": None}
    company = {"company_id": company_id}
    assert [(log["action"], log["before"], log["after"]) for log in reversed(logs)] == [
        ("workflow_add", None, company | shown | rest | {"actions": ["add_tag", "comment"]}),
        (
            "workflow_change",
            company | {"position": 1},
            company | {"fields": ["actions", "name", "position"], "position": 7, "actions": ["comment"]},
        ),
        ("workflow_change", company, company | {"fields": ["conditions"]}),
        ("workflow_change", company, company | {"fields": ["actions"], "actions": ["add_tag"]}),
        ("workflow_remove", company | shown | rest | {"position": 7}, None),
    ]
    assert {(log["resource_id"], log["user"]["id"]) for log in logs} == {(rule["id"], boss.id)}
    assert "canary" not in str(sql.execute("SELECT a::text FROM audit_logs a").fetchall())


def condition(**changes: Any) -> dict[str, Any]:
    return {"field": "status", "op": "eq", "value": "open"} | changes


CONDITIONS: list[tuple[Any, str]] = [
    ({"all": [condition()], "any": [condition()]}, "conditions"),
    ({"every": [condition()]}, "conditions"),  # would run at everything
    (condition(), "conditions"),
    ({"all": [condition()] * 21}, "conditions.all"),
    ({"all": [condition(), condition(field="mood")]}, "conditions.all[1].field"),
    ({"all": [condition(op="matches")]}, "conditions.all[0].op"),
    ({"any": [condition(), condition(), condition(value="asleep")]}, "conditions.any[2].value"),
    ({"all": [condition(op="gt")]}, "conditions.all[0].op"),
    ({"all": [condition(op="in")]}, "conditions.all[0].value"),
    ({"all": [condition(op="in", value=["open", "x"])]}, "conditions.all[0].value[1]"),
    ({"all": [condition(op="in", value=["open"] * 51)]}, "conditions.all[0].value"),
    ({"all": [condition(field="title", op="contains", value="x" * 256)]}, "conditions.all[0].value"),
    ({"all": [condition(field="department", op="in", value=["\u20ac" * 255] * 50)]}, "conditions"),
    ({"all": [condition(field="title", op="contains", value="\x00")]}, "conditions.all[0].value"),
    ({"all": [condition(field="tags", op="contains", value="<>")]}, "conditions.all[0].value"),
    ({"all": [condition(field="tags", op="empty", value=1)]}, "conditions.all[0].value"),
    ({"all": [condition(field="projectId", value=3)]}, "conditions.all[0].value"),
    ({"all": [condition(field="ageHours", op="gt", value=10**30)]}, "conditions.all[0].value"),
    ({"all": [condition(field="commentCount", op="gt", value=True)]}, "conditions.all[0].value"),
    ({"all": [condition(field="isInternal", value="yes")]}, "conditions.all[0].value"),
    ({"all": [condition(field="priority", op="gt", value={"a": 1})]}, "conditions.all[0].value"),
]
ACTIONS: list[tuple[Any, str]] = [
    ([], "actions"),
    ([SOON] * 11, "actions"),
    ([SOON, {"type": "run_code", "text": "1"}], "actions[1].type"),
    ([{"type": "set_status", "value": "asleep"}], "actions[0].value"),
    ([{"type": "set_priority"}], "actions[0].value"),
    ([{"type": "set_department", "value": "x" * 101}], "actions[0].value"),
    ([{"type": "set_department"}], "actions[0].value"),  # null takes it away
    ([SOON, {"type": "remove_tag", "value": "a  b"}], "actions[1].value"),
    ([{"type": "assign"}], "actions[0].userIds"),
    ([{"type": "assign", "userIds": [NOBODY]}], "actions[0].userIds[0]"),
    ([{"type": "comment", "text": " "}], "actions[0].text"),
    ([{"type": "comment", "text": "x" * 2001}], "actions[0].text"),
    ([{"type": "comment", "text": "\x00"}], "actions[0].text"),
    ([{"type": "notify", "text": "x"}], "actions[0].to"),
    ([{"type": "notify", "text": "x", "to": ["everybody"]}], "actions[0].to[0]"),
    ([{"type": "webhook"}], "actions[0].webhookId"),
    ([{"type": "webhook", "webhookId": NOBODY}], "actions[0].webhookId"),
]


async def test_invalid_fields_are_named_with_their_paths_and_no_rule_is_created(boss: Caller) -> None:
    other = {"name": "x" * 101, "trigger": "ticket.sold", "position": 0, "idleHours": 0, "projectId": NOBODY}
    cases = [
        *((RULE | {"conditions": value}, place) for value, place in CONDITIONS),
        *((RULE | {"actions": value}, place) for value, place in ACTIONS),
        *((RULE | {name: value}, name) for name, value in other.items()),
        (RULE | {"idleHours": 3}, "idleHours"),
        (RULE | {"trigger": "ticket.idle"}, "idleHours"),
    ]
    for body, place in cases:
        details = await boss.refused(400, "VALIDATION_ERROR", "POST", "workflows", body)
        assert place in [one["field"] for one in details["fields"]], (body, details)
    assert await boss.done("GET", "workflows") == []


async def test_all_bad_fields_are_named_at_once(boss: Caller) -> None:
    body = RULE | {
        "trigger": "ticket.idle",
        "projectId": NOBODY,
        "conditions": {"all": [condition(value="x"), condition(), condition(op="lt")]},
        "actions": [{"type": "set_status"}, {"type": "comment"}],
    }
    details = await boss.refused(400, "VALIDATION_ERROR", "POST", "workflows", body)
    assert [one["field"] for one in details["fields"]] == [
        "idleHours",
        "projectId",
        "conditions.all[0].value",
        "conditions.all[2].op",
        "actions[0].value",
        "actions[1].text",
    ]


async def test_a_company_has_fifty_rules_also_in_a_race(boss: Caller, sql: Sql) -> None:
    first = await boss.done("POST", "workflows", RULE)
    copies = (
        "INSERT INTO workflow_rules (id, company_id, name, position, trigger, conditions, actions, created_by)"
        " SELECT gen_random_uuid(), company_id, name, n, trigger, conditions, actions, created_by"
        " FROM workflow_rules, generate_series(2, %s) n WHERE id = %s"
    )
    sql.execute(copies, (MAX_RULES - 1, first["id"]))
    made = await asyncio.gather(*(boss.call("POST", "workflows", RULE) for _ in range(4)))
    assert sorted(one.status_code for one in made) == [201, 409, 409, 409]
    await boss.refused(409, "TOO_MANY_WORKFLOWS", "POST", "workflows", RULE)
    assert (await boss.call("GET", "workflows")).json()["pagination"]["total"] == MAX_RULES


async def test_a_dry_run_says_what_each_rule_would_do_and_writes_nothing(
    boss: Caller, mae: Caller, rita: Caller, sql: Sql
) -> None:
    everything = [
        {"type": "set_status", "value": "blocked"},
        {"type": "set_status", "value": "closed"},
        {"type": "assign", "userIds": [mae.id]},
        {"type": "comment", "text": "{title}"},
        {"type": "notify", "to": ["admins", "assignees"], "text": "{key}"},
        SOON,
    ]
    first = await boss.done("POST", "workflows", RULE | {"actions": everything})
    closed = {"conditions": {"all": [condition(value="closed")]}, "actions": [SOON], "name": "Closed"}
    second = await boss.done("POST", "workflows", RULE | closed)
    other = await boss.done("POST", "workflows", RULE | {"trigger": "ticket.commented"})
    idle = await boss.done("POST", "workflows", RULE | {"trigger": "ticket.idle", "idleHours": 1})
    off = await boss.done("POST", "workflows", RULE | {"enabled": False})
    ticket = await rita.ticket()
    before = all_rows(sql)
    for body in ({"ticketId": ticket["key"]}, {"ticketId": ticket["id"]}):
        tried = await boss.done("POST", "workflows/test", body)
        assert [one["workflowId"] for one in tried] == [one["id"] for one in (first, second, other, idle)]
        assert [(one["state"], one["reason"]) for one in tried] == [
            ("done", None),
            ("done", None),
            ("unmatched", "NO_EVENT"),
            ("unmatched", "CONDITIONS"),  # it is closed by then
        ]
        assert [(one["outcome"], one["reason"]) for one in tried[0]["actions"]] == [
            ("skipped", "INVALID_TRANSITION"),
            *[("done", None)] * 5,
        ]
        assert tried[1]["actions"][0]["outcome"] == "unchanged"
    event_id = tried[0]["eventId"]
    (one,) = await boss.done("POST", f"workflows/{off['id']}/test", {"eventId": event_id})
    assert (one["state"], one["eventId"]) == ("done", event_id)
    (one,) = await boss.done("POST", f"workflows/{other['id']}/test", {"eventId": event_id})
    assert (one["state"], one["reason"]) == ("unmatched", "TRIGGER")
    assert all_rows(sql) == before


async def test_a_test_tries_a_hundred_actions_and_says_what_it_left_out(boss: Caller) -> None:
    """It is one transaction, and other changes of the ticket wait for it."""
    ticket = await boss.ticket()
    comments = [{"type": "comment", "text": "x"}] * 10
    made = [
        await boss.done("POST", "workflows", RULE | {"actions": comments, "name": f"{n}"}) for n in range(12)
    ]
    tried = await boss.done("POST", "workflows/test", {"ticketId": ticket["id"]})
    states = [("done", None)] * 10 + [("unmatched", "NOT_TRIED")] * 2
    assert [(one["state"], one["reason"]) for one in tried] == states
    (alone,) = await boss.done("POST", f"workflows/{made[11]['id']}/test", {"ticketId": ticket["id"]})
    assert alone["state"] == "done"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "ticketId"),
        ({"ticketId": "TSK-1", "eventId": "evt_x_1"}, "ticketId"),
        ({"ticketId": "nothing"}, "ticketId"),
        ({"ticketId": "TSK-9999"}, "ticketId"),
        ({"eventId": "evt_x_1"}, "eventId"),
        ({"eventId": f"evt_{NOBODY}_1"}, "eventId"),
    ],
)
async def test_a_test_of_nothing_is_refused(boss: Caller, body: dict[str, str], place: str) -> None:
    details = await boss.refused(400, "VALIDATION_ERROR", "POST", "workflows/test", body)
    assert [one["field"] for one in details["fields"]] == [place]


async def test_a_rule_cannot_name_projects_users_and_webhooks_of_other_companies(
    boss: Caller, join: Join, others_member: Any, sql: Sql
) -> None:
    row = sql.execute(
        "SELECT company_id FROM company_members WHERE user_id = %s", (others_member.id,)
    ).fetchone()
    assert row is not None
    their = await join("their", "admin", company=str(row[0]))
    rule, ticket = await boss.done("POST", "workflows", RULE), await boss.ticket()
    project = {"projectId": ticket["projectId"]}
    assigned = {"actions": [{"type": "assign", "userIds": [boss.id]}]}
    for body, place in ((project, "projectId"), (assigned, "actions[0].userIds[0]")):
        details = await their.refused(400, "VALIDATION_ERROR", "POST", "workflows", RULE | body)
        assert [one["field"] for one in details["fields"]] == [place]
    (run,) = await boss.done("POST", "workflows/test", {"ticketId": ticket["key"]})
    for body in ({"ticketId": ticket["id"]}, {"eventId": run["eventId"]}):
        await their.refused(400, "VALIDATION_ERROR", "POST", "workflows/test", body)
    await their.refused(404, "WORKFLOW_NOT_FOUND", "GET", f"workflows/{rule['id']}/runs")
    assert await their.done("GET", "workflows") == await their.done("GET", "workflows/runs") == []
