"""A team works with the ticket API, called as its clients call it."""

from __future__ import annotations

import re

import httpx

from tests.api.tickets.conftest import Caller

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODY = "00000000-0000-7000-8000-000000000000"
TICKET_KEYS = {
    *("id", "key", "kind", "title", "description", "descriptionHtml", "status", "category", "priority"),
    *(
        "projectId",
        "project",
        "department",
        "reporter",
        "assignees",
        "tags",
        "commentCount",
        "attachmentCount",
    ),
    *("internalNotes", "resolutionNotes", "links", "version", "createdAt", "updatedAt", "resolvedAt"),
    "subscription",
}


async def test_a_team_works_on_a_ticket_from_report_to_archive(
    boss: Caller, mae: Caller, rita: Caller
) -> None:
    ticket = await rita.ticket(description="**Empty** since Monday", priority="high", tags=["Office"])
    assert set(ticket) == TICKET_KEYS
    assert UUID.fullmatch(ticket["id"])
    assert (ticket["key"], ticket["kind"], ticket["status"]) == ("TSK-1001", "ticket", "open")
    assert (ticket["category"], ticket["priority"], ticket["tags"]) == ("todo", "high", ["office"])
    assert ticket["descriptionHtml"] == "<p><strong>Empty</strong> since Monday</p>\n"
    assert ticket["reporter"] == {"id": rita.id, "username": "rita", "name": "rita"}
    assert ticket["project"] == {"id": ticket["projectId"], "key": "TSK", "name": "Tasks"}

    shown = await mae.call("GET", "tickets/tsk-1001")
    assert shown.json()["ticket"] == ticket | {"subscription": None}  # which is the reader's own
    assert shown.headers["etag"] == '"1"'
    change = {
        "department": "Facilities",
        "assigneeIds": [mae.id, rita.id],
        "internalNotes": "Ask the landlord",
    }
    edited = await mae.done("PUT", "tickets/TSK-1001", change, If_Match=shown.headers["etag"])
    assert edited["version"] == 2
    assert [one["username"] for one in edited["assignees"]] == ["mae", "rita"]
    stale = await mae.refused(
        412, "VERSION_CONFLICT", "PUT", "tickets/TSK-1001", {"title": "x", "version": 1}
    )
    assert stale["version"] == 2
    assert stale["changedFields"] == ["assigneeIds", "department", "internalNotes"]

    await mae.done("PATCH", f"tickets/{ticket['id']}/status", {"status": "in_progress"})
    comment = await mae.done("POST", "tickets/TSK-1001/comments", {"content": "On it"})
    assert comment["author"]["username"] == "mae"
    await mae.done("POST", "tickets/TSK-1001/comments", {"content": "Who forgot it?", "isInternal": True})
    closed = await mae.done(
        "PATCH", "tickets/TSK-1001/status", {"status": "closed", "resolutionNotes": "Refilled"}
    )
    assert (closed["category"], closed["resolutionNotes"], closed["commentCount"]) == ("done", "Refilled", 2)
    assert closed["resolvedAt"].endswith("Z")

    seen = await rita.done("GET", "tickets/TSK-1001")
    assert (seen["commentCount"], seen["internalNotes"]) == (1, None)
    assert [one["content"] for one in await rita.done("GET", "tickets/TSK-1001/comments")] == ["On it"]
    history = await rita.done("GET", "tickets/TSK-1001/history")
    assert [(one["action"], one["field"], one["user"]["username"]) for one in history] == [
        ("created", None, "rita"),
        ("changed", "department", "mae"),
        ("changed", "assigneeIds", "mae"),
        ("status_changed", "status", "mae"),
        ("commented", "comment", "mae"),
        ("status_changed", "status", "mae"),
        ("changed", "resolutionNotes", "mae"),
    ]
    assert (history[3]["oldValue"], history[3]["newValue"]) == ("open", "in_progress")
    assert len(await mae.done("GET", "tickets/TSK-1001/history")) == len(history) + 2

    web = await mae.done("POST", "projects", {"key": "WEB", "name": "The site", "visibility": "company"})
    moved = await mae.done("PUT", "tickets/TSK-1001", {"projectId": web["id"]})
    assert (moved["key"], moved["id"], moved["status"]) == ("WEB-1001", ticket["id"], "closed")
    former = await mae.call("PUT", "tickets/TSK-1001?x=1", {"title": "New"})
    assert former.status_code == 308
    assert former.headers["location"] == "/api/v1/tickets/WEB-1001?x=1"
    assert former.json()["error"] == "E_TICKET_MOVED"

    assert (await boss.done("DELETE", "tickets/WEB-1001")) == "Ticket removed successfully"
    await boss.refused(404, "TICKET_NOT_FOUND", "GET", "tickets/WEB-1001")
    assert (await boss.call("GET", "tickets")).json()["pagination"]["total"] == 0
    await mae.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", "tickets/WEB-1001/restore")
    assert (await boss.done("POST", "tickets/WEB-1001/restore"))["key"] == "WEB-1001"
    archived = await boss.done("DELETE", "projects/WEB")
    assert archived["archivedAt"]
    body = {"title": "Too late", "projectId": web["id"]}
    await rita.refused(409, "PROJECT_ARCHIVED", "POST", "tickets", body)
    assert (await rita.done("GET", "tickets/WEB-1001"))["title"] == ticket["title"]


async def test_an_archived_project_takes_tickets_again_once_it_is_restored(
    boss: Caller, mae: Caller, rita: Caller
) -> None:
    body = {"title": "The door squeaks", "projectId": (await rita.ticket())["projectId"]}
    archived = await boss.done("DELETE", "projects/TSK")
    for refused in (mae, rita):
        await refused.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", "projects/TSK/restore")
    await rita.refused(409, "PROJECT_ARCHIVED", "POST", "tickets", body)
    for _ in range(2):  # once is enough
        restored = await boss.done("POST", "projects/tsk/restore")
        assert (restored["archivedAt"], restored["version"]) == (None, archived["version"] + 1)
    assert (await rita.done("POST", "tickets", body))["key"] == "TSK-1002"


async def test_lists_are_filtered_sorted_and_walked(mae: Caller, rita: Caller) -> None:
    made = [
        await (rita if place % 2 else mae).ticket(
            f"Ticket {place}",
            priority=("low", "critical", "medium")[place % 3],
            tags=["odd"] if place % 2 else ["even"],
            department="Sales" if place < 2 else None,
        )
        for place in range(7)
    ]
    await mae.done("PUT", f"tickets/{made[3]['key']}", {"assigneeIds": [mae.id]})
    await mae.done("PATCH", f"tickets/{made[4]['key']}/status", {"status": "closed"})

    async def titles(query: str, caller: Caller = mae) -> list[int]:
        return [int(one["title"][-1]) for one in await caller.done("GET", f"tickets?{query}")]

    assert await titles("") == [6, 5, 4, 3, 2, 1, 0]
    assert await titles("sort=oldest&limit=2&page=2") == [2, 3]
    assert await titles("sort=updated&limit=2") == [4, 3]
    assert await titles("sort=priority") == [4, 1, 5, 2, 6, 3, 0]
    assert await titles("", rita) == [5, 3, 1]
    assert await titles("status=closed") == await titles("category=done") == [4]
    assert await titles("priority=critical&category=todo") == [1]
    assert await titles("department=Sales&tag=ODD") == [1]
    assert await titles(f"assigneeId={mae.id}") == [3]
    assert await titles(f"reporterId={rita.id}") == [5, 3, 1]
    assert await titles(f"projectId={made[0]['projectId']}&createdFrom={made[5]['createdAt']}") == [6, 5]
    assert await titles(f"createdTo={made[1]['createdAt']}") == [0]
    for sort in ("recent", "oldest", "updated", "priority"):
        walked, cursor = [], ""
        while cursor is not None:
            page = (
                await mae.call("GET", f"tickets?sort={sort}&limit=2{cursor and '&cursor=' + cursor}")
            ).json()
            walked += [int(one["title"][-1]) for one in page["tickets"]]
            cursor = page["pagination"]["nextCursor"]
            assert page["pagination"]["total"] == 7
        assert walked == await titles(f"sort={sort}")
    details = await mae.refused(
        400, "VALIDATION_ERROR", "GET", "tickets?status=none&assigneeId=1&sort=x&page=0"
    )
    assert {one["field"] for one in details["fields"]} == {"status", "assigneeId", "sort", "page"}


async def test_errors_of_every_layer_have_the_form_of_the_ticket_api(
    client: httpx.AsyncClient, mae: Caller
) -> None:
    stranger = Caller(client, mae.person)
    await stranger.refused(404, "NOT_FOUND", "GET", "tickets/a/b/c")
    response = await client.post("/api/v1/tickets", json={})
    assert (response.status_code, response.json()["error"]) == (401, "E_AUTH_REQUIRED")
    for path in ("projects", "tickets", "attachments/x/y/z", "workflows", "reports/none"):
        response = await client.request("BREW", f"/api//v1/{path}", headers=mae.person.headers)
        assert response.json()["error"] in ("E_METHOD_NOT_ALLOWED", "E_NOT_FOUND")
    for body, status, code in (
        (b"{", 400, "E_VALIDATION_ERROR"),
        (b'{"title": "\xff"}', 400, "E_VALIDATION_ERROR"),
        (b"x" * 1_100_000, 413, "E_PAYLOAD_TOO_LARGE"),
    ):
        headers = mae.person.headers | {"Content-Type": "application/json"}
        response = await client.post("/api/v1/tickets", content=body, headers=headers)
        assert (response.status_code, response.json()["error"]) == (status, code)
    await mae.refused(400, "INVALID_ID", "GET", "tickets/none")
    details = await mae.refused(400, "VALIDATION_ERROR", "POST", "tickets", {"assigneeIds": [NOBODY, "x"]})
    assert {one["field"] for one in details["fields"]} == {"title", "assigneeIds[1]"}
    assert (await client.get("/api/v1/ticketsandmore")).json()["error"]["code"] == "NOT_FOUND"
