"""A company works with the issue API, called as its clients call it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.issues.conftest import Client, Sql
from tests.conftest import SignUp
from tests.factories import make_member, report

Team = tuple[Client, Client, Client]
ISSUE_KEYS = {
    *("id", "title", "description", "severity", "status", "reporter_id", "assignee_id", "tags"),
    *("created_at", "updated_at", "version"),
}


async def test_an_issue_goes_from_report_to_done_and_away(team: Team) -> None:
    ada, mae, rita = team
    body = {"title": "Login fails", "description": "**Always**", "severity": "HIGH", "tags": ["Auth"]}
    response = await rita.send("POST", "/issues", body)
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    issue = response.json()["issue"]
    assert issue.keys() >= ISSUE_KEYS
    assert {name: issue[name] for name in ISSUE_KEYS - {"id", "created_at", "updated_at"}} == {
        "title": "Login fails",
        "description": "**Always**",
        "severity": "HIGH",
        "status": "OPEN",
        "reporter_id": rita.id,
        "assignee_id": None,
        "tags": ["auth"],
        "version": 1,
    }
    path = f"/issues/{issue['id']}"
    assert await mae.issue("GET", path) == issue

    triaged = await mae.issue(
        "PUT", path, {"status": "TRIAGED", "severity": "CRITICAL", "assignee_id": mae.id, "version": 1}
    )
    assert (triaged["status"], triaged["severity"]) == ("TRIAGED", "CRITICAL")
    assert triaged["assignee_id"] == mae.id
    late = await rita.refused(412, "PUT", path, {"title": "Login fails for me"}, headers={"If-Match": '"1"'})
    assert late["code"] == "VERSION_CONFLICT"
    assert late["version"] == triaged["version"]
    assert set(late["changed_fields"]) == {"status", "severity", "assignee_id"}

    # The whole thing is sent back, as such clients do: what is as it was is no change.
    done = await mae.issue("PUT", path, {**triaged, "status": "DONE", "description": "Fixed in 2.1"})
    assert (done["status"], done["description"], done["assignee_id"]) == ("DONE", "Fixed in 2.1", mae.id)
    assert await mae.issue("PUT", path, done) == done
    reopened = await rita.issue("PUT", path, {**done, "status": "OPEN"})
    assert reopened["status"] == "OPEN"
    assert await rita.issue("PUT", path, reopened) == reopened

    for client in (mae, rita):
        assert (await client.refused(403, "DELETE", path))["code"] == "INSUFFICIENT_PERMISSIONS"
    assert (await ada.send("DELETE", path)).status_code == 200
    for client in team:
        assert (await client.refused(404, "GET", path))["code"] == "TICKET_NOT_FOUND"
    assert (await rita.issue("POST", "/issues", {"title": "Another one"}))["key"] == "ISS-2"


async def test_a_list_has_the_issues_that_its_reader_sees_by_every_filter(team: Team) -> None:
    ada, mae, rita = team
    await rita.issue("POST", "/issues", {"title": "one", "severity": "LOW", "tags": ["red"]})
    two = await mae.issue("POST", "/issues", {"title": "two", "assignee_id": mae.id})
    await mae.issue("POST", "/issues", {"title": "three", "assignee_id": rita.id})
    await mae.issue("PUT", f"/issues/{two['id']}", {"status": "IN_PROGRESS"})
    await mae.send("POST", "/tickets", {"title": "no issue"})
    assert await ada.titles() == ["three", "two", "one"]
    assert await rita.titles() == ["three", "one"]
    filters: dict[str, Any] = {"status": "IN_PROGRESS", "severity": "LOW", "tag": " Red"}
    expected = {"status": ["two"], "severity": ["one"], "tag": ["one"]}
    assert {name: await ada.titles(**{name: value}) for name, value in filters.items()} == expected
    assert await ada.titles(assignee_id=rita.id) == ["three"]
    assert await ada.titles(reporter_id=mae.id) == ["three", "two"]
    assert await ada.titles(status="OPEN", severity="MEDIUM", reporter_id=mae.id) == ["three"]
    assert await ada.titles(search="two") == ["two"]
    assert await ada.titles(search="ISS-3") == ["three"]
    assert await ada.titles(search="two", status="OPEN") == await rita.titles(search="two") == []
    assert await ada.titles(search="issue") == []
    page = (await ada.send("GET", "/issues", params={"page": 2, "limit": 2})).json()
    assert [issue["title"] for issue in page["issues"]] == ["one"]
    assert page["pagination"].items() >= {"page": 2, "limit": 2, "total": 3, "total_pages": 2}.items()
    assert (page["pagination"]["has_next"], page["pagination"]["has_prev"]) == (False, True)
    first = (await ada.send("GET", "/issues", params={"limit": 2})).json()["pagination"]
    assert await ada.titles(limit=2, cursor=first["next_cursor"]) == ["one"]
    error = await ada.refused(400, "GET", "/issues", params={"status": "open", "severity": "low", "limit": 0})
    assert {problem["field"] for problem in error["fields"]} == {"status", "severity", "limit"}


async def test_who_assigns_the_first_one_leaves_the_others(team: Team) -> None:
    """A ticket has several assignees, an issue shows the first."""
    ada, mae, rita = team
    issue = await mae.issue("POST", "/issues", {"title": "one", "assignee_id": mae.id})
    path = f"/issues/{issue['id']}"
    await mae.send("PUT", f"/tickets/{issue['id']}", {"assigneeIds": [mae.id, rita.id]})
    after = []
    for assignee_id in (mae.id, ada.id, rita.id, None):
        shown = await mae.issue("PUT", path, {"assignee_id": assignee_id})
        ticket = (await mae.send("GET", f"/tickets/{issue['id']}")).json()["ticket"]
        after.append((shown["assignee_id"], [user["id"] for user in ticket["assignees"]]))
    assert after == [
        (mae.id, [mae.id, rita.id]),
        (ada.id, [ada.id, rita.id]),
        (rita.id, [rita.id]),
        (None, []),
    ]
    for body in ({"assignee_id": rita.id}, {"severity": "LOW"}):
        assert (await rita.refused(404, "PUT", path, body))["code"] == "TICKET_NOT_FOUND"
    own = await rita.issue("POST", "/issues", {"title": "mine"})
    for body in ({"assignee_id": rita.id}, {"severity": "LOW"}, {"status": "DONE"}):
        error = await rita.refused(403, "PUT", f"/issues/{own['id']}", body)
        assert error["code"] == "INSUFFICIENT_PERMISSIONS"
    assert (await rita.refused(403, "POST", "/issues", {"title": "x", "assignee_id": rita.id}))["code"]


async def test_nothing_else_is_an_issue(
    team: Team, client: httpx.AsyncClient, sign_up: SignUp, sql: Sql
) -> None:
    """Tickets of other schemes, and issues of other companies, whatever number they have."""
    _, mae, _ = team
    issue = await mae.issue("POST", "/issues", {"title": "ours"})
    ticket = (await mae.send("POST", "/tickets", {"title": "a ticket"})).json()["ticket"]
    for method in ("GET", "PUT", "DELETE"):
        assert (await mae.refused(404, method, f"/issues/{ticket['id']}", {}))["code"] == "TICKET_NOT_FOUND"
    theirs = await report(client, application_name="Chalk", application_url="https://chalk.example")
    stranger = await sign_up("eve")
    make_member(sql, stranger, theirs["assigned_company_id"], role="admin")
    eve = Client(client, stranger)
    own = await eve.issue("POST", "/issues", {"title": "theirs"})
    assert own["key"] == issue["key"]
    assert await eve.titles() == ["theirs"]
    for method in ("GET", "PUT", "DELETE"):
        assert (await eve.refused(404, method, f"/issues/{issue['id']}", {}))["code"] == "TICKET_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"title"}),
        ({"title": " ", "severity": "high", "tags": "red"}, {"title", "severity", "tags"}),
        (
            {"title": "x" * 256, "description": "x" * 20_001, "assignee_id": "me"},
            {"title", "description", "assignee_id"},
        ),
    ],
)
async def test_what_does_not_fit_is_named(team: Team, body: dict[str, Any], fields: set[str]) -> None:
    error = await team[1].refused(400, "POST", "/issues", body)
    assert error["code"] == "VALIDATION_ERROR"
    assert {problem["field"] for problem in error["fields"]} == fields
