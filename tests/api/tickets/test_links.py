"""Links between tickets and public bugs: who may link, status propagation, what tickets record, how links end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.tickets.conftest import Caller
from tests.api.tickets.links import Settle, notes_of, public, settle, start_links
from tests.api.v1.moderation.acts import Moderator
from tests.factories import Person, merge_into, remove, report

Sql = psycopg.Connection[Any]
Bug = dict[str, Any]


@pytest.fixture
async def settled(settings: Settings, client: httpx.AsyncClient, sql: Sql) -> AsyncIterator[Settle]:
    """`await settled()`: everything that follows from what was done has been done."""
    platform: Platform = build(settings)
    await platform.start()
    await start_links(platform)

    async def settled() -> None:
        await settle(platform, sql)

    yield settled
    await platform.close()


async def tied(caller: Caller, bug: Bug, *, carry: bool = True, **fields: Any) -> tuple[str, str]:
    """The id and the path of a ticket that is tied to the bug."""
    ticket = await caller.ticket(**fields)
    path = f"tickets/{ticket['key']}"
    await caller.done("POST", f"{path}/links", {"bugId": bug["id"], "carryStatus": carry})
    return ticket["id"], path


async def move(caller: Caller, path: str, *statuses: str) -> None:
    for status in statuses:
        await caller.done("PATCH", f"{path}/status", {"status": status})


async def test_a_link_is_in_the_ticket_and_its_history_and_never_public(
    mae: Caller, rita: Caller, bug: Bug, client: httpx.AsyncClient
) -> None:
    ticket = await rita.ticket()
    path = f"tickets/{ticket['key']}"
    link = await mae.done("POST", f"{path}/links", {"bugId": bug["id"]})
    assert link == {
        "bugId": bug["id"],
        "title": bug["title"],
        "status": "open",
        "kind": "linked",
        "carryStatus": False,
    }
    assert (await rita.done("GET", path))["links"] == [link]
    assert (await mae.done("GET", "tickets"))[0]["links"] == [link]
    await mae.refused(409, "ALREADY_LINKED", "POST", f"{path}/links", {"bugId": bug["id"]})
    carrying = await mae.done("POST", f"{path}/links", {"bugId": bug["id"], "carryStatus": True})
    assert carrying == link | {"carryStatus": True}
    for page in (f"bugs/{bug['id']}", f"bugs/{bug['id']}/history", "bugs"):
        shown = (await client.get(f"/api/v1/{page}")).text
        assert ticket["id"] not in shown
        assert ticket["key"] not in shown
    await mae.done("DELETE", f"{path}/links", {"bugId": bug["id"]})
    assert (await mae.done("GET", path))["links"] == []
    await mae.refused(404, "LINK_NOT_FOUND", "DELETE", f"{path}/links", {"bugId": bug["id"]})
    history = [
        (one["action"], one["oldValue"], one["newValue"]) for one in await mae.done("GET", f"{path}/history")
    ]
    assert history[1:] == [
        ("linked", None, bug["id"]),
        ("linked", None, bug["id"]),
        ("unlinked", bug["id"], None),
    ]


async def test_users_without_the_right_cannot_link_a_ticket(
    mae: Caller, rita: Caller, bug: Bug, others_member: Person, client: httpx.AsyncClient
) -> None:
    path = f"tickets/{(await rita.ticket())['key']}/links"
    foreign = await report(client, application_name="Ink", application_url="https://ink.example")
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", path, {"bugId": bug["id"]})
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "DELETE", path, {"bugId": bug["id"]})
    mallory = Caller(client, others_member)
    await mallory.refused(404, "TICKET_NOT_FOUND", "POST", path, {"bugId": bug["id"]})
    body = {"bugId": foreign["id"], "carryStatus": True}
    await mae.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", path, body)
    assert (await mae.done("POST", path, {"bugId": foreign["id"]}))["bugId"] == foreign["id"]
    await mae.refused(404, "BUG_NOT_FOUND", "POST", path, {"bugId": mae.id})
    await mae.refused(400, "VALIDATION_ERROR", "POST", path, {"bugId": "none"})


async def test_the_status_is_carried_in_the_name_of_who_changed_the_ticket(
    mae: Caller, boss: Caller, bug: Bug, sql: Sql, settled: Settle
) -> None:
    ticket_id, path = await tied(mae, bug)
    await move(mae, path, "in_progress")
    await settled()
    assert (await public(mae, bug["id"]))["status"] == "reviewing"
    await move(mae, path, "blocked", "in_progress")  # doing, as before: no change
    await move(boss, path, "closed")
    await settled()
    assert (await public(mae, bug["id"]))["status"] == "fixed"
    changes = sql.execute(
        "SELECT s.from_status, s.to_status, s.user_id::text, s.company_id IS NOT NULL FROM status_changes s ORDER BY id"
    ).fetchall()
    assert changes == [("open", "reviewing", mae.id, True), ("reviewing", "fixed", boss.id, True)]
    causes = sql.execute(
        "SELECT cause ->> 'kind', cause -> 'chain' ->> 1 FROM events WHERE type = 'status.changed'"
    ).fetchall()
    assert set(causes) == {("link", f"link:{ticket_id}")}
    assert notes_of(sql, ticket_id) == []  # it knows


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("resolved",), "fixed"),
        (("resolved", "closed"), "fixed"),
        (("in_progress", "closed"), "wont_fix"),
        (("closed",), "wont_fix"),
        (("closed", "resolved"), "fixed"),
        (("resolved", "in_review"), "fixed"),
        (("resolved", "assigned"), "reviewing"),
    ],
)
async def test_a_report_that_is_closed_unresolved_is_not_fixed(
    mae: Caller, bug: Bug, settled: Settle, statuses: tuple[str, ...], expected: str
) -> None:
    project = await mae.done("POST", "projects", {"key": "SUP", "name": "x", "scheme": "support"})
    _, path = await tied(mae, bug, projectId=project["id"])
    await move(mae, path, *statuses)
    await settled()
    assert (await public(mae, bug["id"]))["status"] == expected


async def test_changes_of_the_bug_are_internal_comments_without_an_author(
    mae: Caller, bug: Bug, ada: Person, client: httpx.AsyncClient, sql: Sql, settled: Settle
) -> None:
    ticket_id, path = await tied(mae, bug)
    bug_path = f"/api/v1/bugs/{bug['id']}"
    secret = {"content": "Have a look at my house"}
    assert (await client.post(f"{bug_path}/comments", json=secret, headers=ada.headers)).status_code == 201
    await client.post(f"{bug_path}/company-response", json={"content": "We look"}, headers=mae.person.headers)
    await client.patch(f"{bug_path}/status", json={"status": "reviewing"}, headers=mae.person.headers)
    await client.post(f"{bug_path}/vote", headers=ada.headers)
    await settled()
    notes = notes_of(sql, ticket_id)
    assert [note.partition(") ")[2] for note in notes] == [
        "has a new comment.",
        "has a new official response.",
        "went from `open` to `reviewing`.",
    ]
    assert all(bug["id"] in note for note in notes)
    assert (await mae.done("GET", f"{path}/comments"))[0]["author"] is None
    assert (await mae.done("GET", path))["status"] == "open"


async def test_events_without_effect_do_not_block_the_consumer(
    mae: Caller, bug: Bug, ada: Person, client: httpx.AsyncClient, sql: Sql, settled: Settle, job_log: Any
) -> None:
    """The creation of a bug is in one batch with its first comment."""
    other = await report(client, application_name="Paper", application_url="https://app.paper.example")
    ticket_id, _ = await tied(mae, other)
    await client.post(f"/api/v1/bugs/{other['id']}/comments", json={"content": "x"}, headers=ada.headers)
    await settled()
    assert len(notes_of(sql, ticket_id)) == 1
    assert [line["event"] for line in job_log if line["event"] in ("batch_failed", "consumer_failed")] == []


async def test_two_tickets_of_one_bug_do_not_loop(mae: Caller, bug: Bug, sql: Sql, settled: Settle) -> None:
    (first, first_path), (second, second_path) = await tied(mae, bug), await tied(mae, bug)
    await move(mae, first_path, "closed")
    await settled()
    assert notes_of(sql, first) == []
    assert len(notes_of(sql, second)) == 1
    await move(mae, second_path, "closed")  # the bug is fixed already
    await settled()
    assert (len(notes_of(sql, first)), len(notes_of(sql, second))) == (0, 1)
    assert sql.execute("SELECT count(*) FROM status_changes").fetchone() == (1,)
    before = sql.execute("SELECT count(*) FROM events").fetchone()
    await settled()
    assert sql.execute("SELECT count(*) FROM events").fetchone() == before


@pytest.mark.parametrize("since", ["left", "inactive", "demoted", "banned", "reassigned", "nobody"])
async def test_rights_are_those_of_the_moment_in_which_the_status_is_carried(
    mae: Caller, boss: Caller, bug: Bug, sql: Sql, settled: Settle, since: str, company_id: str
) -> None:
    ticket_id, path = await tied(mae, bug)
    await move(mae, path, "closed")
    of_mae = "WHERE user_id = %s" if since != "banned" else "WHERE id = %s"
    change = {
        "left": f"DELETE FROM company_members {of_mae}",
        "inactive": f"UPDATE company_members SET is_active = false {of_mae}",
        "demoted": f"UPDATE company_members SET role = 'reporter' {of_mae}",
        "banned": f"UPDATE users SET banned_at = now() {of_mae}",
        "reassigned": "UPDATE bugs SET assigned_company_id = NULL WHERE %s::uuid IS NOT NULL",
        # As after a workflow rule; events are never changed, but as a replica.
        "nobody": "UPDATE events SET actor_id = NULL WHERE type = 'ticket.status_changed' AND actor_id = %s",
    }[since]
    with sql.transaction():
        if since == "nobody":
            sql.execute("SET LOCAL session_replication_role = replica")
        sql.execute(change, (mae.id,))
    await settled()
    assert (await public(boss, bug["id"]))["status"] == "open"
    (note,) = notes_of(sql, ticket_id)
    assert (
        note
        == "The public bug did not become `fixed`: the user who changed this ticket may not change the bug."
    )


async def test_a_merge_is_followed_and_its_undoing_as_well(
    mae: Caller, bug: Bug, client: httpx.AsyncClient, admin: Person, sql: Sql, settled: Settle
) -> None:
    moderator = Moderator(client, admin)
    other = await report(client, application_name="Paper", application_url="https://app.paper.example")
    ticket_id, path = await tied(mae, bug)
    await moderator.merge(bug["id"], other["id"])
    await settled()
    (note,) = notes_of(sql, ticket_id)
    assert "was merged into" in note
    assert other["id"] in note
    (link,) = (await mae.done("GET", path))["links"]
    assert link["bugId"] == other["id"]
    for bug_id in (bug["id"], other["id"]):
        body = {"bugId": bug_id, "carryStatus": True}
        await mae.refused(409, "ALREADY_LINKED", "POST", f"{path}/links", body)
    await move(mae, path, "closed")
    await settled()
    assert (await public(mae, other["id"]))["status"] == "fixed"
    await client.patch(
        f"/api/v1/bugs/{other['id']}/status", json={"status": "open"}, headers=mae.person.headers
    )
    await settled()
    assert notes_of(sql, ticket_id)[1].endswith("went from `fixed` to `open`.")
    await moderator.unmerge(bug["id"])
    (link,) = (await mae.done("GET", path))["links"]
    assert link["bugId"] == bug["id"]
    await mae.done("DELETE", f"{path}/links", {"bugId": bug["id"]})


async def test_a_removed_bug_is_in_no_ticket_and_takes_no_status(
    mae: Caller, bug: Bug, sql: Sql, settled: Settle
) -> None:
    ticket_id, path = await tied(mae, bug)
    remove(sql, bug["id"])
    assert (await mae.done("GET", path))["links"] == []
    await mae.refused(404, "BUG_NOT_FOUND", "POST", f"{path}/links", {"bugId": bug["id"]})
    await move(mae, path, "closed")
    await settled()
    assert notes_of(sql, ticket_id) == []
    assert sql.execute("SELECT status FROM bugs WHERE id = %s", (bug["id"],)).fetchone() == ("open",)
    await mae.done("DELETE", f"{path}/links", {"bugId": bug["id"]})


async def test_links_are_bounded(mae: Caller, bug: Bug, sql: Sql) -> None:
    path = f"tickets/{(await mae.ticket())['key']}/links"
    sql.execute(
        "INSERT INTO tickets SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'key', 'X-' || n))).*"
        " FROM tickets t, generate_series(1, 100) n"
    )
    sql.execute(
        "INSERT INTO ticket_links (company_id, ticket_id, bug_id, kind)"
        " SELECT company_id, id, %s, 'linked' FROM tickets WHERE key LIKE 'X-%%'",
        (bug["id"],),
    )
    await mae.refused(409, "TOO_MANY_LINKS", "POST", path, {"bugId": bug["id"]})


async def test_a_bug_is_tracked_once(
    mae: Caller, rita: Caller, bug: Bug, others_member: Person, client: httpx.AsyncClient, sql: Sql
) -> None:
    path = f"/api/v1/bugs/{bug['id']}/track"
    answers = await asyncio.gather(*(client.post(path, headers=mae.person.headers) for _ in range(4)))
    answers.sort(key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [201, 409, 409, 409]
    assert answers[1].json()["error"]["code"] == "ALREADY_LINKED"
    ticket = answers[0].json()["ticket"]
    assert (ticket["title"], ticket["description"]) == (bug["title"], bug["description"])
    (link,) = ticket["links"]
    assert (link["bugId"], link["kind"], link["carryStatus"]) == (bug["id"], "tracked", False)
    for person in (rita.person, others_member):
        refused = await client.post(path, headers=person.headers)
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "INSUFFICIENT_PERMISSIONS"
    other = await report(client, application_name="Paper", application_url="https://app.paper.example")
    merge_into(sql, bug["id"], other["id"])
    assert (await client.post(path, headers=mae.person.headers)).status_code == 409
    remove(sql, other["id"])
    assert (await client.post(path, headers=mae.person.headers)).status_code == 404


async def test_tracking_is_repeated_safely(mae: Caller, bug: Bug, client: httpx.AsyncClient) -> None:
    path, headers = f"/api/v1/bugs/{bug['id']}/track", mae.person.headers | {"Idempotency-Key": "track-1"}
    first, again = [await client.post(path, headers=headers) for _ in range(2)]
    assert first.status_code == 201, first.text
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_another_companys_ticket_gets_a_comment_that_reveals_no_other_ticket(
    mae: Caller, bug: Bug, others_member: Person, client: httpx.AsyncClient, sql: Sql, settled: Settle
) -> None:
    mallory = Caller(client, others_member)
    theirs, _ = await tied(mallory, bug, carry=False)
    ours, path = await tied(mae, bug)
    await move(mae, path, "closed")
    await settled()
    assert len(notes_of(sql, theirs)) == 1
    assert notes_of(sql, ours) == []
    for note in notes_of(sql, theirs):
        assert ours not in note
    seen = await mallory.done("GET", f"tickets/{theirs}/history")
    assert ours not in str([one["newValue"] for one in seen])
