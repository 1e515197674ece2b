"""Following tickets: who is notified of which events, in the list of notices and by mail."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.tickets.conftest import Caller
from tests.api.v1.notices.conftest import all_notified, notice_types, notices_of, whole_worker
from tests.api.v1.notices.test_mails import SITE, link_of, mails_to
from tests.infra.mail.postbox import parts_of
from tests.infra.mail.server import MailServer

Sql = psycopg.Connection[Any]


@pytest.fixture
async def worker(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    async with whole_worker(settings) as platform:
        yield platform


@pytest.fixture
async def mailing(settings: Settings, empty_board: None, mail_server: MailServer) -> AsyncIterator[Platform]:
    async with whole_worker(settings, mail_url=mail_server.url, public_url=SITE) as platform:
        yield platform


async def subscription(caller: Caller, ticket: dict[str, Any]) -> Any:
    """As the ticket shows it."""
    return (await caller.done("GET", f"tickets/{ticket['id']}"))["subscription"]


async def comment(
    caller: Caller, ticket: dict[str, Any], content: str = "The same here", **more: Any
) -> None:
    await caller.done("POST", f"tickets/{ticket['id']}/comments", {"content": content, **more})


async def set_status(caller: Caller, ticket: dict[str, Any], status: str) -> None:
    await caller.done("PATCH", f"tickets/{ticket['id']}/status", {"status": status})


async def test_acts_on_a_ticket_subscribe_and_an_explicit_level_takes_precedence(
    rita: Caller, mae: Caller, boss: Caller, sql: Sql
) -> None:
    ticket = await rita.ticket()
    assert (
        ticket["subscription"] == await subscription(rita, ticket) == {"level": "all", "reason": "reported"}
    )
    assert await subscription(mae, ticket) is None
    await comment(mae, ticket)
    assert await subscription(mae, ticket) == {"level": "all", "reason": "commented"}
    await boss.done("PUT", f"tickets/{ticket['id']}", {"assigneeIds": [boss.id]})
    assert await subscription(boss, ticket) == {"level": "all", "reason": "assigned"}
    assert sql.execute("SELECT count(*) FROM ticket_subscriptions").fetchone() == (0,)
    path = f"tickets/{ticket['key']}/subscription"
    response = await mae.call("PUT", path, {"level": "resolved"})
    assert response.json() == {
        "message": "Subscribed",
        "subscription": {"level": "resolved", "reason": "chosen"},
    }
    await mae.call("PUT", path, {"level": "official"})
    assert (await subscription(mae, ticket))["level"] == "official"
    response = await mae.call("DELETE", path)
    assert response.json() == {"message": "Unsubscribed", "subscription": None}
    await comment(mae, ticket)
    assert await subscription(mae, ticket) is None
    await mae.refused(400, "VALIDATION_ERROR", "PUT", path, {"level": "none"})
    listed = await mae.done("GET", "tickets")
    assert "subscription" not in listed[0]


async def test_what_is_not_seen_is_not_followed(rita: Caller, mae: Caller, sql: Sql) -> None:
    ticket = await mae.ticket()
    for method, body in (("PUT", {"level": "all"}), ("DELETE", None)):
        await rita.refused(404, "TICKET_NOT_FOUND", method, f"tickets/{ticket['id']}/subscription", body)
    assert sql.execute("SELECT count(*) FROM ticket_subscriptions").fetchone() == (0,)


async def test_each_level_is_notified_of_its_events_and_nobody_of_their_own_changes(
    rita: Caller, mae: Caller, boss: Caller, worker: Platform, sql: Sql
) -> None:
    ticket = await rita.ticket()
    await boss.call("PUT", f"tickets/{ticket['id']}/subscription", {"level": "resolved"})
    await comment(mae, ticket)
    await comment(mae, ticket, "Only for us", isInternal=True)
    await set_status(mae, ticket, "in_progress")
    await set_status(mae, ticket, "closed")
    await all_notified(sql)
    expected = ["ticket.commented", "ticket.status_changed", "ticket.status_changed"]
    assert await notice_types(rita.client, rita.person) == expected
    assert await notice_types(mae.client, mae.person) == []
    (notice,) = (await notices_of(boss.client, boss.person))["notices"]
    assert notice["bug"] is None
    assert notice["ticket"] == {
        "id": ticket["id"],
        "company_id": sql.execute("SELECT company_id::text FROM tickets").fetchone()[0],  # type: ignore[index]
        "key": ticket["key"],
        "title": ticket["title"],
        "status": "closed",
    }
    assert (notice["event"]["from_status"], notice["event"]["to_status"]) == ("in_progress", "closed")


async def test_users_who_lose_access_are_no_longer_notified(
    rita: Caller, mae: Caller, boss: Caller, worker: Platform, sql: Sql
) -> None:
    ticket = await mae.ticket(assigneeIds=[rita.id])
    await boss.call("PUT", f"tickets/{ticket['id']}/subscription", {"level": "all"})
    await comment(mae, ticket)
    await comment(mae, ticket, "Only for us", isInternal=True)
    await all_notified(sql)
    assert len((await notices_of(rita.client, rita.person))["notices"]) == 1
    answer = await notices_of(boss.client, boss.person)
    assert (len(answer["notices"]), answer["unread"]) == (2, 2)
    await mae.done("PUT", f"tickets/{ticket['id']}", {"assigneeIds": []})
    sql.execute("UPDATE company_members SET role = 'reporter' WHERE user_id = %s", (boss.id,))
    await comment(mae, ticket)
    await all_notified(sql)
    for caller in (rita, boss):
        answer = await notices_of(caller.client, caller.person)
        assert (answer["notices"], answer["unread"], answer["pagination"]["total"]) == ([], 0, 0)
    assert sql.execute("SELECT count(*) FROM notices").fetchone() == (3,)


async def test_a_mail_of_a_ticket_is_threaded_and_ended_with_one_click(
    rita: Caller, mae: Caller, mailing: Platform, mail_server: MailServer, sql: Sql
) -> None:
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = ANY (%s::uuid[])", ([rita.id, mae.id],))
    ticket = await rita.ticket("A **title** of somebody")
    await comment(mae, ticket, "We see it")
    await set_status(mae, ticket, "closed")
    await comment(mae, ticket, "Nobody outside may read this", isInternal=True)
    await all_notified(sql)
    first, second = sorted(mails_to(mail_server, rita.person), key=lambda mail: "closed" in parts_of(mail)[0])
    assert first["Subject"] == second["Subject"] == f"[BugRelay] {ticket['key']}: {ticket['title']}"
    assert first["References"] == second["References"] == first["In-Reply-To"]
    text = parts_of(first)[0]
    assert "mae commented." in text
    assert "> We see it" in text
    assert "you reported this ticket" in text
    assert re.search(rf"{SITE}/api/v1/tickets/{ticket['id']}\?company=", text)
    assert "The status is now “closed”; it was “open”." in parts_of(second)[0]
    page = await rita.client.get(link_of(first), headers={"Accept": "text/html"})
    assert "about this ticket" in page.text
    assert ticket["title"] not in page.text
    assert (await rita.client.post(link_of(first))).status_code == 200
    assert await subscription(rita, ticket) is None
    await comment(mae, ticket)
    await all_notified(sql)
    assert len(mails_to(mail_server, rita.person)) == 2
    assert "Nobody outside" not in "".join(text for _, _, text in mail_server.received)
