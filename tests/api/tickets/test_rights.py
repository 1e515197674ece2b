"""Who may change what of a ticket, and what internal texts leave where."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from tests.api.tickets.conftest import Caller, Join

CANARY = "canary-7391"


async def test_reporters_edit_their_own_until_it_is_done_and_reopen_it(mae: Caller, rita: Caller) -> None:
    ticket = await rita.ticket(description="It beeps", tags=["a"])
    path = f"tickets/{ticket['key']}"
    edited = await rita.done("PUT", path, {"title": "It beeps twice", "description": "x", "tags": ["b", "c"]})
    assert (edited["title"], edited["tags"], edited["version"]) == ("It beeps twice", ["b", "c"], 2)
    # What stands there already is no change, so a client may send all that it has read.
    unchanged = {
        name: edited[name] for name in ("title", "priority", "department", "internalNotes", "projectId")
    }
    assert (await rita.done("PUT", path, unchanged))["version"] == 2
    for change in (
        {"priority": "critical"},
        {"department": "Sales"},
        {"assigneeIds": [rita.id]},
        {"resolutionNotes": "Done"},
        {"internalNotes": "?"},
    ):
        await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "PUT", path, change)
    for status in ("in_progress", "closed"):
        await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "PATCH", f"{path}/status", {"status": status})
    assert (await rita.done("PATCH", f"{path}/status", {"status": "open"}))["version"] == 2
    await mae.done("PATCH", f"{path}/status", {"status": "closed"})
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "PUT", path, {"title": "Still"})
    reopened = await rita.done("PATCH", f"{path}/status", {"status": "open"})
    assert (reopened["category"], reopened["resolvedAt"]) == ("todo", None)
    assert (await rita.done("PUT", path, {"title": "Still"}))["title"] == "Still"


async def test_an_assignee_sees_the_ticket_and_changes_its_status(mae: Caller, rita: Caller) -> None:
    ticket = await mae.ticket()
    path = f"tickets/{ticket['key']}"
    await rita.refused(404, "TICKET_NOT_FOUND", "GET", path)
    body = {"title": "x", "assigneeIds": [rita.id]}
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", "tickets", body)
    await mae.done("PUT", path, {"assigneeIds": [rita.id]})
    body = {"status": "closed", "resolutionNotes": "It was unplugged"}
    closed = await rita.done("PATCH", f"{path}/status", body)
    assert closed["resolutionNotes"] == "It was unplugged"
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "PUT", path, {"title": "Mine now"})
    await mae.done("PUT", path, {"assigneeIds": []})
    await rita.refused(404, "TICKET_NOT_FOUND", "GET", path)
    await rita.refused(404, "TICKET_NOT_FOUND", "PATCH", f"{path}/status", {"status": "open"})


async def test_a_project_is_open_to_reporters_while_it_says_so(
    boss: Caller, mae: Caller, rita: Caller
) -> None:
    web = await mae.done("POST", "projects", {"key": "WEB", "name": "x", "visibility": "company"})
    await mae.ticket(projectId=web["id"])
    assert [one["key"] for one in await rita.done("GET", "projects")] == ["WEB"]
    assert (await rita.done("GET", "projects/WEB"))["ticketCount"] == 1
    assert [one["key"] for one in await rita.done("GET", "tickets")] == ["WEB-1001"]
    await rita.done("POST", "tickets/WEB-1001/comments", {"content": "Me too"})
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "PUT", "tickets/WEB-1001", {"title": "Mine"})
    assert (await rita.ticket(projectId=web["id"]))["key"] == "WEB-1002"
    await mae.done("PUT", "projects/WEB", {"visibility": "team"})
    assert [one["key"] for one in await rita.done("GET", "tickets")] == ["WEB-1002"]
    assert (await rita.done("GET", "projects/WEB"))["ticketCount"] == 1
    await rita.refused(404, "TICKET_NOT_FOUND", "GET", "tickets/WEB-1001/comments")
    await boss.done("DELETE", "tickets/WEB-1002")
    await rita.refused(404, "PROJECT_NOT_FOUND", "GET", "projects/WEB")
    body = {"title": "x", "projectId": web["id"]}
    await rita.refused(404, "PROJECT_NOT_FOUND", "POST", "tickets", body)


async def test_moves_are_those_of_the_scheme_and_the_same_status_is_none(mae: Caller) -> None:
    path = f"tickets/{(await mae.ticket())['key']}"
    details = await mae.refused(409, "INVALID_TRANSITION", "PATCH", f"{path}/status", {"status": "blocked"})
    assert details["allowed"] == ["in_progress", "closed"]
    details = await mae.refused(400, "VALIDATION_ERROR", "PATCH", f"{path}/status", {"status": "resolved"})
    assert details["fields"][0]["field"] == "status"
    before = await mae.done("GET", f"{path}/history")
    assert (await mae.done("PATCH", f"{path}/status", {"status": "open"}))["version"] == 1
    assert await mae.done("GET", f"{path}/history") == before
    await mae.refused(412, "VERSION_CONFLICT", "PATCH", f"{path}/status", {"status": "open"}, If_Match='"7"')
    await mae.refused(
        412, "VERSION_CONFLICT", "PATCH", f"{path}/status", {"status": "open"}, If_Match='W/"1"'
    )
    await mae.done("PATCH", f"{path}/status", {"status": "in_progress"}, If_Match='"7", "1"')
    await mae.done("PATCH", f"{path}/status", {"status": "blocked"}, If_Match="*")


async def test_a_move_to_another_scheme_keeps_the_category_and_every_former_key_leads_on(
    mae: Caller, rita: Caller
) -> None:
    ticket = await mae.ticket()
    await mae.done("PATCH", f"tickets/{ticket['key']}/status", {"status": "in_progress"})
    bugs = await mae.done("POST", "projects", {"key": "BUG", "name": "Reports", "scheme": "support"})
    moved = await mae.done("PUT", f"tickets/{ticket['key']}", {"projectId": bugs["id"]})
    year = moved["updatedAt"][:4]
    assert (moved["key"], moved["kind"]) == (f"BUG-{year}-0001", "bug")
    assert (moved["status"], moved["category"], moved["version"]) == ("assigned", "doing", 3)
    back = await mae.done("PUT", f"tickets/{moved['key']}", {"projectId": ticket["projectId"]})
    assert (back["key"], back["status"]) == ("TSK-1002", "in_progress")
    for former in (ticket["key"], moved["key"]):
        response = await mae.call("GET", f"tickets/{former}/comments?page=1")
        assert response.status_code == 308
        assert response.headers["location"] == "/api/v1/tickets/TSK-1002/comments?page=1"
        await rita.refused(404, "TICKET_NOT_FOUND", "GET", f"tickets/{former}")
    assert (await mae.ticket())["key"] == "TSK-1003"
    await mae.refused(404, "PROJECT_NOT_FOUND", "PUT", "tickets/TSK-1002", {"projectId": ticket["id"]})


async def test_keys_of_projects_are_one_of_a_kind_and_fixed(boss: Caller, mae: Caller) -> None:
    web = await mae.done("POST", "projects", {"key": "WEB", "name": "The site"})
    for key in ("WEB", "ISS", "BUG"):
        await mae.refused(409, "KEY_IN_USE", "POST", "projects", {"key": key, "name": "Another"})
    for key in ("W", "web", "W-B", "1WB", "A" * 11, ""):
        await mae.refused(400, "VALIDATION_ERROR", "POST", "projects", {"key": key, "name": "Another"})
    changed = await mae.done("PUT", "projects/WEB", {"key": "SITE", "scheme": "tickets", "version": 1})
    assert (changed["key"], changed["version"]) == ("SITE", 2)
    other = await mae.done("POST", "projects", {"key": "OTHER", "name": "Another"})
    await mae.refused(409, "KEY_IN_USE", "POST", "projects", {"key": "WEB", "name": "Another"})
    await mae.refused(409, "KEY_IN_USE", "PUT", f"projects/{other['id']}", {"key": "WEB"})
    for key in ("WEB", "SITE"):
        changed = await mae.done("PUT", f"projects/{web['id']}", {"key": key})
    assert (changed["key"], changed["version"]) == ("SITE", 4)
    await mae.done("PUT", "projects/SITE", {"description": "All of it", "visibility": "company"})
    for version, fields in {
        1: ["description", "key", "visibility"],
        4: ["description", "visibility"],
    }.items():
        stale = await mae.refused(
            412, "VERSION_CONFLICT", "PUT", "projects/SITE", {"name": "x"}, If_Match=f'"{version}"'
        )
        assert (stale["version"], stale["changedFields"]) == (5, fields)
    await mae.done("PUT", "projects/SITE", {"visibility": "team"}, If_Match='"5"')
    await mae.refused(400, "VALIDATION_ERROR", "PUT", "projects/SITE", {"scheme": "issues"})
    ticket = await mae.ticket(projectId=web["id"])
    await mae.refused(409, "KEY_FIXED", "PUT", "projects/SITE", {"key": "WEB"})
    await boss.done("DELETE", f"tickets/{ticket['id']}")
    await mae.refused(409, "KEY_FIXED", "PUT", "projects/SITE", {"key": "WEB"})
    await boss.done("DELETE", "projects/SITE")
    await mae.refused(409, "KEY_IN_USE", "POST", "projects", {"key": "SITE", "name": "Another"})
    await mae.refused(409, "PROJECT_ARCHIVED", "POST", "tickets", {"title": "x", "projectId": web["id"]})
    tasks = await mae.done("POST", "projects", {"key": "TSK", "name": "Tasks"})
    await mae.done("PUT", f"projects/{tasks['id']}", {"key": "JOBS"})
    assert (await mae.ticket())["key"] == "TSK-1001"


async def test_what_is_internal_reaches_no_reporter(
    mae: Caller, rita: Caller, sql: psycopg.Connection[Any]
) -> None:
    ticket = await rita.ticket()
    path = f"tickets/{ticket['key']}"
    await mae.done("PUT", path, {"internalNotes": f"{CANARY} " + "long " * 100})
    await mae.done("PUT", path, {"internalNotes": CANARY})
    note = await mae.done("POST", f"{path}/comments", {"content": CANARY, "isInternal": True})
    body = {"content": "x", "isInternal": True}
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", f"{path}/comments", body)
    for method in ("PATCH", "DELETE"):
        body = {"content": "x"}
        await rita.refused(404, "COMMENT_NOT_FOUND", method, f"{path}/comments/{note['id']}", body)
    seen = [
        await rita.call("GET", one)
        for one in ("tickets", path, f"{path}/comments", f"{path}/history", "projects")
    ]
    seen.append(await rita.call("PUT", path, {"title": "x", "version": 1}))
    assert CANARY not in json.dumps([one.json() for one in seen])
    assert seen[-1].json()["details"]["changedFields"] == []
    assert seen[1].json()["ticket"]["commentCount"] == 0
    assert [one.json()["pagination"]["total"] for one in seen[2:4]] == [0, 1]
    visible = "SELECT type, data::text FROM events WHERE visibility <> 'internal'"
    assert CANARY not in json.dumps(sql.execute(visible).fetchall())
    history = await mae.done("GET", f"{path}/history")
    assert [one["field"] for one in history] == [None, "internalNotes", "internalNotes", "comment"]
    assert history[2]["oldValue"].startswith(CANARY)
    assert history[2]["newValue"] == CANARY
    assert (await mae.done("GET", path))["commentCount"] == 1


async def test_comments_are_corrected_and_withdrawn_by_their_author(
    boss: Caller, mae: Caller, rita: Caller
) -> None:
    path = f"tickets/{(await rita.ticket())['key']}"
    said = await rita.done("POST", f"{path}/comments", {"content": "*Me* too"})
    one = f"{path}/comments/{said['id']}"
    for other in (boss, mae):
        await other.refused(403, "INSUFFICIENT_PERMISSIONS", "PATCH", one, {"content": "x"})
        await other.refused(403, "INSUFFICIENT_PERMISSIONS", "DELETE", one)
    corrected = await rita.done("PATCH", one, {"content": "*You* too"})
    assert corrected["contentHtml"] == "<p><em>You</em> too</p>\n"
    assert (await mae.done("GET", path))["commentCount"] == 1
    await rita.done("DELETE", one)
    await rita.refused(404, "COMMENT_NOT_FOUND", "DELETE", one)
    assert (await mae.done("GET", path))["commentCount"] == 0
    actions = [entry["action"] for entry in await mae.done("GET", f"{path}/history")]
    assert actions == ["created", "commented", "comment_edited", "comment_removed"]


async def test_only_active_members_are_assigned_and_former_ones_may_stay(
    mae: Caller, join: Join, sql: psycopg.Connection[Any], ada: Any
) -> None:
    lou = await join("lou", "member")
    details = await mae.refused(
        400, "VALIDATION_ERROR", "POST", "tickets", {"title": "x", "assigneeIds": [lou.id, ada.id]}
    )
    assert [one["field"] for one in details["fields"]] == ["assigneeIds[1]"]
    path = f"tickets/{(await mae.ticket(assigneeIds=[lou.id, mae.id, lou.id]))['key']}"
    sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (lou.id,))
    await lou.refused(404, "COMPANY_NOT_FOUND", "GET", path)
    assert len((await mae.done("PUT", path, {"assigneeIds": [mae.id, lou.id]}))["assignees"]) == 2
    assert len((await mae.done("PUT", path, {"assigneeIds": [mae.id]}))["assignees"]) == 1
    details = await mae.refused(400, "VALIDATION_ERROR", "PUT", path, {"assigneeIds": [lou.id]})
    assert details["fields"][0]["field"] == "assigneeIds[0]"


async def test_a_repeated_request_makes_one_ticket_and_is_no_answer_for_another_company(
    mae: Caller, sql: psycopg.Connection[Any], others_member: Any
) -> None:
    other = sql.execute(
        "SELECT company_id FROM company_members WHERE user_id = %s", (others_member.id,)
    ).fetchone()
    assert other is not None
    sql.execute(
        "INSERT INTO company_members (id, company_id, user_id, role)"
        " VALUES (gen_random_uuid(), %s, %s, 'member')",
        (other[0], mae.id),
    )
    await mae.refused(400, "COMPANY_REQUIRED", "GET", "tickets")
    own = sql.execute("SELECT company_id FROM company_members WHERE user_id = %s", (mae.id,)).fetchall()
    mine = next(company for (company,) in own if company != other[0])
    body = {"title": "Once"}
    first = await mae.done("POST", "tickets", body, X_Company_ID=str(mine), Idempotency_Key="k")
    again = await mae.done("POST", "tickets", body, X_Company_ID=str(mine), Idempotency_Key="k")
    assert first == again
    await mae.refused(
        409, "IDEMPOTENCY_CONFLICT", "POST", "tickets", body, X_Company_ID=str(other[0]), Idempotency_Key="k"
    )
    assert await mae.done("GET", "tickets", X_Company_ID=str(other[0])) == []
