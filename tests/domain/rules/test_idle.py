"""Rules for tickets to which nothing happens run once an idle time, by the clock and the log."""

from __future__ import annotations

import asyncio

from bugrelay.domain.rules import tasks
from tests.api.tickets.conftest import Caller
from tests.domain.rules.conftest import Rules

REMIND = {"type": "comment", "text": "Nothing happens: {status}"}
SAID = "Nothing happens: open"


def let_hours_pass(rules: Rules, hours: int) -> None:
    """For events are never changed: as a replica, which looks at no trigger."""
    rules.sql.execute(
        "SET session_replication_role = replica;"
        f" UPDATE events SET at = at - interval '{hours} hours'; SET session_replication_role = origin"
    )


async def test_a_rule_runs_once_per_idle_period_and_its_actions_do_not_end_it(
    rules: Rules, mae: Caller, rita: Caller
) -> None:
    rule = await rules.add("ticket.idle", REMIND, idleHours=48)
    ticket, busy, done, gone = [await rita.ticket() for _ in range(4)]
    await mae.done("PATCH", f"tickets/{done['id']}/status", {"status": "closed"})
    await rules.boss.done("DELETE", f"tickets/{gone['id']}")
    await tasks.run_idle(rules.platform)
    assert await rules.runs(rule) == []
    let_hours_pass(rules, 47)
    await mae.done("POST", f"tickets/{busy['id']}/comments", {"content": "On it", "isInternal": True})
    let_hours_pass(rules, 2)
    for _ in range(2):
        await tasks.run_idle(rules.platform)
        assert [run["ticket"]["key"] for run in await rules.runs(rule)] == [ticket["key"]]
    let_hours_pass(rules, 47)
    await asyncio.gather(*(tasks.run_idle(rules.platform) for _ in range(2)))
    assert await rules.comments(ticket) == [SAID]
    assert await rules.comments(busy) == ["On it", SAID]
    let_hours_pass(rules, 400)
    await tasks.run_idle(rules.platform)
    assert await rules.comments(ticket) == [SAID]
    await rita.done("POST", f"tickets/{ticket['id']}/comments", {"content": "Still"})
    let_hours_pass(rules, 49)
    await tasks.run_idle(rules.platform)
    assert await rules.comments(ticket) == [SAID, "Still", SAID]
    assert await rules.comments(done) == []
    history = await rules.boss.done("GET", f"tickets/{ticket['id']}/history")
    assert history[1]["cause"]["kind"] == "rule"


async def test_a_blocked_rule_does_not_delay_other_rules(rules: Rules, rita: Caller) -> None:
    """Somebody holds a ticket for longer than a lock is waited for, and it is the next of the first rule."""
    first, second = [await rules.add("ticket.idle", REMIND, idleHours=1) for _ in range(2)]
    free, held = await rita.ticket(), await rita.ticket()
    let_hours_pass(rules, 2)
    remaining_after = (
        "UPDATE workflow_rules SET idle_seq = (SELECT seq FROM events WHERE ticket_id = %s AND stream = company_id)"
        " WHERE id = %s"
    )
    rules.sql.execute(remaining_after, (free["id"], first["id"]))
    with rules.sql.transaction():
        rules.sql.execute("SELECT FROM tickets WHERE id = %s FOR UPDATE", (held["id"],))
        await tasks.run_idle(rules.platform)
    ran = [[run["ticket"]["key"] for run in await rules.runs(rule)] for rule in (first, second)]
    assert ran == [[], [free["key"]]]
    await tasks.run_idle(rules.platform)
    ran = [[run["ticket"]["key"] for run in await rules.runs(rule)] for rule in (first, second)]
    assert ran == [[held["key"]], [held["key"], free["key"]]]


async def test_tickets_that_were_idle_before_are_left_alone_and_each_rule_has_its_own_bound(
    rules: Rules, rita: Caller
) -> None:
    old = await rita.ticket()
    let_hours_pass(rules, 24)
    young = await rita.ticket()
    day = await rules.add("ticket.idle", REMIND, idleHours=24)
    week = await rules.add("ticket.idle", {"type": "add_tag", "value": "week"}, idleHours=168)
    await tasks.run_idle(rules.platform)
    let_hours_pass(rules, 24)
    await tasks.run_idle(rules.platform)
    assert [await rules.comments(one) for one in (old, young)] == [[], [SAID]]
    let_hours_pass(rules, 168)
    await rules.boss.done("PUT", f"workflows/{day['id']}", {"enabled": False})
    late = await rita.ticket()
    let_hours_pass(rules, 24)
    await tasks.run_idle(rules.platform)
    assert [(await rules.ticket(one))["tags"] for one in (old, young, late)] == [["week"], ["week"], []]
    await rules.boss.done("PUT", f"workflows/{day['id']}", {"enabled": True})
    await tasks.run_idle(rules.platform)
    assert await rules.comments(late) == []
    assert len(await rules.runs(week)) == 2
