"""Notifications by rules: mails to members and the company's webhooks, and nothing internal to others."""

from __future__ import annotations

from typing import Any

import pytest

from bugrelay.domain.rules.tasks import TASKS
from tests.api.tickets.conftest import Caller, Join
from tests.domain.rules.conftest import Rules
from tests.infra.mail.postbox import Postbox, parts_of

EVERYBODY = {
    "type": "notify",
    "to": ["assignees", "reporter", "admins"],
    "text": "{actor}: {title} ({unknown})",
}


@pytest.fixture(autouse=True)
def reachable(rules: Rules, mae: Caller, rita: Caller) -> None:
    rules.sql.execute("UPDATE users SET is_email_verified = true")


async def work_off(rules: Rules) -> None:
    """Do the jobs of rules, as a worker does, each twice."""
    jobs = rules.sql.execute(
        "DELETE FROM procrastinate_jobs WHERE task_name LIKE 'rules.%' RETURNING task_name, args"
    ).fetchall()
    for name, arguments in sorted(jobs, key=str):
        arguments.pop("request_id", None)
        for _ in range(2):
            await TASKS.by_name[name](rules.platform, **arguments)


async def test_members_who_see_the_ticket_are_mailed_once_and_not_about_their_own_changes(
    rules: Rules, boss: Caller, mae: Caller, rita: Caller, postbox: Postbox
) -> None:
    await rules.add("ticket.commented", EVERYBODY)
    ticket = await rita.ticket("<b>{key}</b> is out")
    await boss.done("PUT", f"tickets/{ticket['id']}", {"assigneeIds": [mae.id]})
    await mae.done("POST", f"tickets/{ticket['id']}/comments", {"content": "On it"})
    await rules.run()
    await work_off(rules)
    assert {str(mail["To"]) for mail in postbox.mails()} == {boss.person.email, rita.person.email}
    (mail,) = {mail["Message-ID"]: mail for mail in postbox.mails(rita.person.email)}.values()
    assert f"{ticket['key']} <b>{{key}}</b> is out" in str(mail["Subject"])
    text, html = parts_of(mail)
    assert "mae: <b>{key}</b> is out ({unknown})" in text
    assert "<b>{key}" not in html
    assert "&lt;b&gt;{key}" in html


async def test_nothing_that_is_internal_reaches_a_reporter_or_a_webhook_without_it(
    rules: Rules, boss: Caller, mae: Caller, rita: Caller, postbox: Postbox
) -> None:
    public, internal = [await add_webhook(boss, rules, include_internal=one) for one in (False, True)]
    rule = await rules.add(
        "ticket.commented",
        EVERYBODY,
        {"type": "comment", "text": "Thank you, {actor}"},
        {"type": "webhook", "webhookId": public},
        {"type": "webhook", "webhookId": internal},
    )
    ticket = await rita.ticket()
    await mae.done("POST", f"tickets/{ticket['id']}/comments", {"content": "Secret", "isInternal": True})
    await rules.run()
    await work_off(rules)
    assert {str(mail["To"]) for mail in postbox.mails()} == {boss.person.email}
    assert await rules.comments(ticket, of=rita) == []
    assert await rules.comments(ticket) == ["Secret", "Thank you, mae"]
    assert (await rules.ticket(ticket))["commentCount"] == 2
    (run,) = await rules.runs(rule)
    assert [one["reason"] for one in run["actions"]] == [None, None, "WEBHOOK_NOT_TOLD", None]
    assert queued(rules) == {internal: [run["eventId"]]}


async def test_a_webhook_gets_the_ids_of_the_event_that_a_rule_ran_for(
    rules: Rules, boss: Caller, rita: Caller
) -> None:
    webhook = await add_webhook(boss, rules, include_internal=False)
    rule = await rules.add("ticket.created", {"type": "webhook", "webhookId": webhook})
    ticket = await rita.ticket()
    await rules.run()
    (run,) = await rules.runs(rule)
    row = rules.sql.execute(
        "SELECT type, data, stream, state FROM webhook_deliveries WHERE data IS NOT NULL"
    ).fetchone()
    assert row is not None
    assert (row[0], row[2], row[3]) == ("workflow.run", None, "pending")
    assert row[1] == {
        "workflow_id": rule["id"],
        "run_id": run["id"],
        "event_id": run["eventId"],
        "event_type": "ticket.created",
        "ticket_id": ticket["id"],
        "is_internal": False,
    }
    await boss.client.delete(
        f"/api/v1/companies/{rules.company_id}/webhooks/{webhook}", headers=boss.person.headers
    )
    await rita.ticket()
    await rules.run()
    assert (await rules.runs(rule))[0]["actions"][0]["reason"] == "WEBHOOK_NOT_TOLD"


async def test_former_members_and_users_without_mail_or_access_are_not_notified(
    rules: Rules, boss: Caller, rita: Caller, join: Join, postbox: Postbox
) -> None:
    people = {name: await join(name, "reporter") for name in ("gone", "silent", "stays")}
    told = {"type": "notify", "userIds": [*(one.id for one in people.values()), rita.id], "text": "{key}"}
    await rules.add("ticket.changed", told)
    assigned = [one.id for one in people.values()]
    ticket = await boss.ticket(assigneeIds=assigned)
    rules.sql.execute("UPDATE users SET is_email_verified = true")
    await boss.done("PUT", f"tickets/{ticket['id']}", {"priority": "high"})
    await rules.run()
    rules.sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (people["gone"].id,))
    settings = await people["silent"].call("PATCH", "users/me/notice-settings", {"mail": "none"})
    assert settings.is_success
    await work_off(rules)
    assert {str(mail["To"]) for mail in postbox.mails()} == {people["stays"].person.email}


async def test_admins_are_mailed_that_a_rule_is_disabled_while_it_is(
    rules: Rules, boss: Caller, rita: Caller, postbox: Postbox
) -> None:
    rule = await rules.add("ticket.created", {"type": "add_tag", "value": "x"}, name="Too much")
    ticket = await rita.ticket()
    rules.sql.execute(
        "INSERT INTO workflow_runs (id, company_id, rule_id, ticket_id, seq, state, acts, results, happened_at)"
        " SELECT gen_random_uuid(), %s, %s, %s, 0, 'done', 20, '[]', at FROM events WHERE type = 'ticket.created'",
        (rules.company_id, rule["id"], ticket["id"]),
    )
    await rules.run()
    await work_off(rules)
    (mail,) = {mail["Message-ID"]: mail for mail in postbox.mails(boss.person.email)}.values()
    assert "Too much" in parts_of(mail)[0]
    assert (await rules.ticket(ticket))["tags"] == []


async def add_webhook(boss: Caller, rules: Rules, *, include_internal: bool) -> str:
    body: dict[str, Any] = {
        "url": "https://hooks.paper.example/x",
        "events": ["bug.created"],
        "include_internal": include_internal,
    }
    path = f"/api/v1/companies/{rules.company_id}/webhooks"
    added = await boss.client.post(path, json=body, headers=boss.person.headers)
    assert added.status_code == 201, added.text
    made: str = added.json()["webhook"]["id"]
    return made


def queued(rules: Rules) -> dict[str, list[str]]:
    """The events that runs were queued for, by webhook."""
    rows = rules.sql.execute(
        "SELECT webhook_id::text, data ->> 'event_id' FROM webhook_deliveries WHERE data IS NOT NULL"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for webhook_id, event_id in rows:
        found.setdefault(webhook_id, []).append(event_id)
    return found
