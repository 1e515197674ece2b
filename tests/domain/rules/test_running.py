"""Rules run at what happens to tickets: in order, once, with what they may do, and never at what they caused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.infra.ids import new_id
from tests.api.tickets.conftest import Caller
from tests.domain.rules.conftest import Rules

HIGH = {"type": "set_priority", "value": "high"}
SOON = {"type": "add_tag", "value": "soon"}


async def test_a_rule_does_everything_it_can_and_history_names_it(
    rules: Rules, boss: Caller, mae: Caller, rita: Caller
) -> None:
    rule = await rules.add(
        "ticket.created",
        {"type": "set_status", "value": "in_progress"},
        HIGH,
        {"type": "set_department", "value": "Facilities"},
        {"type": "assign", "userIds": [mae.id, rita.id]},
        {"type": "unassign", "userIds": [rita.id]},
        SOON,
        {"type": "remove_tag", "value": "printer"},
        {"type": "comment", "text": "{actor}: {key} {title} is {status}, {unknown}"},
        {"type": "comment", "text": "Only ours", "isInternal": True},
        conditions={"all": [{"field": "tags", "op": "contains", "value": "printer"}]},
    )
    other = await rita.ticket("Nothing to do")
    ticket = await rita.ticket("*No* paper {actor} <b>", tags=["printer"])
    await rules.run()
    now = await rules.ticket(ticket)
    assert (now["status"], now["priority"], now["department"]) == ("in_progress", "high", "Facilities")
    assert ([one["id"] for one in now["assignees"]], now["tags"]) == ([mae.id], ["soon"])
    said = "rita: TSK-1002 \\*No\\* paper {actor} \\<b\\> is in_progress, {unknown}"
    assert await rules.comments(ticket) == [said, "Only ours"]
    assert await rules.comments(ticket, of=rita) == [said]
    (comment, *_) = await boss.done("GET", f"tickets/{ticket['id']}/comments")
    assert "*No* paper {actor} &lt;b&gt; is" in comment["contentHtml"]
    (run,) = await rules.runs(rule)
    assert (run["ticket"]["key"], run["state"], run["reason"]) == ("TSK-1002", "done", None)
    assert {one["outcome"] for one in run["actions"]} == {"done"}
    history = await rita.done("GET", f"tickets/{ticket['id']}/history")
    cause = {"kind": "rule", "chain": [run["eventId"], f"rule:{rule['id']}"]}
    assert [one["cause"] for one in history[1:]] == [cause] * (len(history) - 1)
    assert {one["user"] and one["user"]["id"] for one in history[1:]} == {None}
    assert (await rules.ticket(other))["version"] == 1


async def test_rules_that_feed_each_other_stop_and_none_runs_at_what_it_caused(
    rules: Rules, rita: Caller
) -> None:
    high = await rules.add("ticket.changed", HIGH, conditions=changed("low"), name="high")
    low = await rules.add(
        "ticket.changed", {"type": "set_priority", "value": "low"}, conditions=changed("high"), name="low"
    )
    ticket = await rita.ticket(priority="medium")
    await rules.boss.done("PUT", f"tickets/{ticket['id']}", {"priority": "low"})
    await rules.run()
    assert (await rules.ticket(ticket))["priority"] == "low"
    assert [len(await rules.runs(rule)) for rule in (high, low)] == [1, 1]
    chain = (await rules.boss.done("GET", f"tickets/{ticket['id']}/history"))[-1]["cause"]["chain"]
    assert [one.partition("_")[0].partition(":")[0] for one in chain] == ["evt", "rule", "evt", "rule"]


async def test_a_chain_ends_at_five_events(rules: Rules, rita: Caller) -> None:
    made = [
        await rules.add("ticket.changed", tag(f"t{n + 1}"), conditions=has_come(f"t{n}"), name=f"rule {n}")
        for n in range(7)
    ]
    ticket = await rita.ticket()
    await rules.boss.done("PUT", f"tickets/{ticket['id']}", {"tags": ["t0"]})
    await rules.run()
    assert (await rules.ticket(ticket))["tags"] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    states = [[run["state"] for run in await rules.runs(rule)] for rule in made]
    assert states == [["done"]] * 5 + [["skipped"], []]
    assert (await rules.runs(made[5]))[0]["reason"] == "CHAIN_TOO_LONG"


async def test_what_the_ticket_forbids_is_skipped_and_logged_and_the_rest_is_done(
    rules: Rules, mae: Caller, rita: Caller
) -> None:
    rule = await rules.add(
        "ticket.created",
        {"type": "set_status", "value": "blocked"},
        {"type": "set_status", "value": "TRIAGED"},
        {"type": "assign", "userIds": [mae.id]},
        {"type": "set_priority", "value": "medium"},
        {"type": "notify", "to": ["assignees"], "text": "x"},
        SOON,
    )
    rules.sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (mae.id,))
    ticket = await rita.ticket(priority="medium")
    await rules.run()
    (run,) = await rules.runs(rule)
    assert run["state"] == "done"
    assert [(one["type"], one["outcome"], one["reason"]) for one in run["actions"]] == [
        ("set_status", "skipped", "INVALID_TRANSITION"),
        ("set_status", "skipped", "VALIDATION_ERROR"),
        ("assign", "skipped", "VALIDATION_ERROR"),
        ("set_priority", "unchanged", None),
        ("notify", "skipped", "NOBODY_TO_TELL"),
        ("add_tag", "done", None),
    ]
    assert (await rules.ticket(ticket))["tags"] == ["soon"]


async def test_a_rule_of_another_form_and_one_that_breaks_stop_neither_the_others_nor_the_stream(
    rules: Rules, rita: Caller
) -> None:
    broken = [await rules.add("ticket.created", SOON, name=f"broken {n}") for n in range(4)]
    forms = [
        ("conditions", '{"every": 1, "all": [{"field": "mood", "op": "eq"}]}'),
        ("conditions", '{"all": [{"field": "priority", "op": "gt", "value": "sometime"}]}'),
        ("actions", '[{"type": "add_tag", "value": "half"}, {"type": "set_priority", "value": "loud"}]'),
        ("actions", '[{"type": "sing"}]'),
    ]
    for rule, (column, value) in zip(broken, forms, strict=True):
        rules.sql.execute(f"UPDATE workflow_rules SET {column} = %s WHERE id = %s", (value, rule["id"]))  # type: ignore[arg-type]
    good = await rules.add("ticket.created", HIGH)
    tickets = [await rita.ticket() for _ in range(2)]
    await rules.run()
    for ticket in tickets:
        now = await rules.ticket(ticket)
        assert (now["priority"], now["tags"]) == ("high", [])
    states = [[run["state"] for run in await rules.runs(rule)] for rule in (*broken, good)]
    assert states == [["failed"] * 2] * 4 + [["done"] * 2]
    assert [(await rules.runs(rule))[0]["reason"] for rule in broken] == [
        *("NOT_UNDERSTOOD", "INTERNAL_ERROR", "INTERNAL_ERROR", "NOT_UNDERSTOOD")
    ]
    assert (await rules.boss.call("GET", "workflows")).status_code == 200


async def test_rules_run_in_their_order_and_each_sees_what_those_before_it_did(
    rules: Rules, rita: Caller
) -> None:
    late = await rules.add("ticket.created", SOON, position=20, conditions=priority("high"))
    await rules.add("ticket.created", HIGH, position=10)
    await rules.add("ticket.created", tag("never"), position=5, conditions=priority("high"))
    ticket = await rita.ticket()
    await rules.run()
    assert (await rules.ticket(ticket))["tags"] == ["soon"]
    web = await rules.boss.done("POST", "projects", {"key": "WEB", "name": "The site"})
    await rules.boss.done("PUT", f"workflows/{late['id']}", {"projectId": web["id"], "conditions": None})
    here, there = await rita.ticket(), await rules.boss.ticket(projectId=web["id"])
    await rules.run()
    assert (await rules.ticket(here))["tags"] == []
    assert (await rules.ticket(there))["tags"] == ["soon"]


async def test_a_rule_ignores_events_from_before_it_was_created_or_enabled_again(
    rules: Rules, rita: Caller
) -> None:
    before = await rita.ticket()
    rule = await rules.add("ticket.created", SOON)
    path = f"workflows/{rule['id']}"
    await rules.boss.done("PUT", path, {"enabled": False})
    meanwhile = await rita.ticket()
    await rules.boss.done("PUT", path, {"enabled": True})
    after = await rita.ticket()
    await rules.run()
    assert [(await rules.ticket(one))["tags"] for one in (before, meanwhile, after)] == [[], [], ["soon"]]


async def test_two_workers_run_each_rule_once_for_an_event(rules: Rules, rita: Caller) -> None:
    rule = await rules.add("ticket.created", {"type": "comment", "text": "{key}"})
    tickets = [await rita.ticket() for _ in range(6)]
    await rules.run(workers=2)
    assert [await rules.comments(one) for one in tickets] == [[one["key"]] for one in tickets]
    rules.sql.execute("UPDATE event_cursors SET seq = 0 WHERE consumer = 'rules'")
    await rules.run(workers=2)
    assert [len(await rules.comments(one)) for one in tickets] == [1] * 6
    assert len(await rules.runs(rule)) == 6


async def test_many_actions_for_one_event_are_split_into_several_transactions(
    rules: Rules, rita: Caller
) -> None:
    """So nobody waits for the ticket until all are done; what had its turn has no other one."""
    passed = await rules.add("ticket.created", tag("late"), conditions=priority("high"), name="passed")
    made = [
        await rules.add("ticket.created", *[{"type": "comment", "text": f"{n}"}] * 4, name=f"rule {n}")
        for n in range(5)
    ]
    await rules.add("ticket.created", HIGH, name="high")
    ticket = await rita.ticket()
    await rules.run()
    assert await rules.comments(ticket) == [f"{n}" for n in range(5) for _ in range(4)]
    assert await rules.runs(passed) == []
    transactions: dict[str, list[int]] = {}
    for number, rule in enumerate(made):
        (run,) = await rules.runs(rule)
        transactions.setdefault(run["at"], []).append(number)
    assert list(transactions.values()) == [[0, 1, 2], [3, 4]]


async def test_a_rule_that_runs_wild_is_disabled_and_its_admins_mailed_once(
    rules: Rules, mae: Caller, rita: Caller, company_id: str
) -> None:
    says = {"type": "comment", "text": "Thank you, {actor}"}
    rule = await rules.add("ticket.commented", *[says] * 10)
    ticket = await rita.ticket()
    tenant = Tenant(UUID(company_id), UUID(mae.id), "member")
    async with rules.platform.work() as work:  # of one moment
        for _ in range(4):
            await write_comment(work, tenant, UUID(ticket["id"]), content="Hello")
    await rules.run()
    assert (await rules.comments(ticket)).count("Thank you, mae") == 20
    assert [run["state"] for run in await rules.runs(rule)] == ["disabled", "done", "done"]
    now = await rules.shown(rule)
    assert (now["enabled"], now["disabledReason"]) == (False, "runs_wild")
    jobs = rules.sql.execute(
        "SELECT args ->> 'user_id' FROM procrastinate_jobs WHERE task_name = 'rules.mail_disabled'"
    ).fetchall()
    assert jobs == [(rules.boss.id,)]
    told = rules.sql.execute(
        "SELECT user_id, resource_id::text, before, after FROM audit_logs WHERE action = 'workflow_disable'"
    ).fetchall()
    company = {"company_id": company_id}
    assert told == [
        (
            None,
            rule["id"],
            company | {"enabled": True},
            company | {"enabled": False, "disabled_reason": "runs_wild"},
        )
    ]
    again = await rules.boss.done("PUT", f"workflows/{rule['id']}", {"enabled": True})
    assert (again["enabled"], again["disabledReason"], again["disabledAt"]) == (True, None, None)


async def test_a_rule_keeps_running_after_its_admin_left(rules: Rules, rita: Caller, mae: Caller) -> None:
    await rules.add("ticket.created", SOON)
    rules.sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (rules.boss.id,))
    ticket = await rita.ticket()
    await rules.run()
    assert (await mae.done("GET", f"tickets/{ticket['id']}"))["tags"] == ["soon"]


async def test_a_new_team_inherits_no_rules_of_the_former_one(
    rules: Rules, mae: Caller, company_id: str
) -> None:
    rule = await rules.add("ticket.created", SOON)
    for starts_new_team, left in ((False, 1), (True, 0)):
        claim = CompanyClaimed(
            company_id=UUID(company_id),
            claim_id=new_id(),
            method="dns",
            starts_new_team=starts_new_team,
            actor_id=UUID(mae.id),
        )
        async with rules.platform.work() as work:
            work.record(claim)
        assert rules.sql.execute("SELECT count(*) FROM workflow_rules").fetchone() == (left,)
        removed = rules.sql.execute(
            "SELECT user_id::text FROM audit_logs WHERE action = 'workflow_remove' AND resource_id = %s",
            (rule["id"],),
        ).fetchall()
        assert removed == [(mae.id,)] * (1 - left)


@pytest.mark.parametrize("end", ["unverified", "removed"])
async def test_nothing_is_done_in_a_company_that_is_not_verified_or_to_a_removed_ticket(
    rules: Rules, rita: Caller, company_id: str, end: str
) -> None:
    rule = await rules.add("ticket.created", SOON)
    ticket = await rita.ticket()
    if end == "removed":
        await rules.boss.done("DELETE", f"tickets/{ticket['id']}")
    else:
        rules.sql.execute("UPDATE companies SET verified = false WHERE id = %s", (company_id,))
    await rules.run()
    assert rules.sql.execute("SELECT count(*) FROM workflow_runs").fetchone() == (0,)
    assert rule["enabled"]


def changed(value: str) -> dict[str, Any]:
    return {"all": [{"field": "priority", "op": "changed_to", "value": value}]}


def has_come(value: str) -> dict[str, Any]:
    return {"any": [{"field": "tags", "op": "changed_to", "value": value}]}


def priority(value: str) -> dict[str, Any]:
    return {"all": [{"field": "priority", "op": "eq", "value": value}]}


def tag(value: str) -> dict[str, Any]:
    return {"type": "add_tag", "value": value}
