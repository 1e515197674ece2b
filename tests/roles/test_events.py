"""Which events each route that writes leaves in the log, and that they hold nothing that somebody has typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar

from bugrelay.domain.bugs.events import MAX_VALUE_LENGTH
from tests.factories import a_report
from tests.roles.calls import call
from tests.roles.table import ROLES, Row, documented_rows, served_routes
from tests.roles.world import World

LEFT = {
    "POST /api/v1/bugs": ["bug.created"],
    "PATCH /api/v1/bugs/{bug_id}": ["bug.edited"],
    "POST /api/v1/bugs/{bug_id}/attachments": ["bug.edited"],
    "DELETE /api/v1/bugs/{bug_id}/attachments/{attachment_id}": ["bug.edited"],
    "POST /api/v1/bugs/{bug_id}/comments": ["comment.created"],
    "POST /api/v1/bugs/{bug_id}/company-response": ["response.created"],
    "PATCH /api/v1/bugs/{bug_id}/status": ["status.changed"],
    "POST /api/v1/projects": ["project.changed"],
    "POST /api/v1/issues": ["project.changed", "ticket.created"],
    "PUT /api/v1/issues/{issue_id}": ["ticket.changed"],
    "DELETE /api/v1/issues/{issue_id}": ["ticket.removed"],
    "POST /api/support/report": ["project.changed", "ticket.created"],
    "POST /api/support/report/{ticket_number}/comments": ["ticket.commented"],
    "POST /api/v1/tickets": ["project.changed", "ticket.created"],
    "PUT /api/v1/projects/{project}": ["project.changed"],
    "DELETE /api/v1/projects/{project}": ["project.changed"],
    "POST /api/v1/projects/{project}/restore": ["project.changed"],
    "PUT /api/v1/tickets/{ticket}": ["ticket.changed"],
    "PATCH /api/v1/tickets/{ticket}/status": ["ticket.status_changed"],
    "DELETE /api/v1/tickets/{ticket}": ["ticket.removed"],
    "POST /api/v1/tickets/{ticket}/restore": ["ticket.restored"],
    "POST /api/v1/tickets/{ticket}/history/{entry}/blank": ["ticket.text_blanked"],
    "POST /api/v1/tickets/{ticket}/comments": ["ticket.commented"],
    "PATCH /api/v1/tickets/{ticket}/comments/{comment_id}": ["ticket.commented"],
    "DELETE /api/v1/tickets/{ticket}/comments/{comment_id}": ["ticket.commented"],
    "POST /api/v1/tickets/{ticket}/publication": ["bug.created", "ticket.linked"],
    "POST /api/v1/tickets/{ticket}/links": ["ticket.linked"],
    "DELETE /api/v1/tickets/{ticket}/links": ["ticket.unlinked"],
    "POST /api/v1/bugs/{bug_id}/track": ["ticket.created", "ticket.linked"],
    "DELETE /api/v1/attachments/{attachment_id}": ["ticket.file_removed"],
    "POST /api/v1/files/upload/{issue_id}": ["ticket.file_added"],
    "DELETE /api/v1/files/{file_id}": ["ticket.file_removed"],
    "PATCH /api/v1/comments/{comment_id}": ["comment.edited"],
    "DELETE /api/v1/comments/{comment_id}": ["comment.removed"],
    "POST /api/v1/companies/{company_id}/members": ["member.changed"],
    "PATCH /api/v1/companies/{company_id}/members/{user_id}": ["member.changed"],
    "DELETE /api/v1/companies/{company_id}/members": ["member.changed"],
    "POST /api/v1/companies/{company_id}/verify": ["member.changed"],
    "POST /api/v1/users": ["member.changed"],
    "POST /api/v1/invitations/accept": ["member.changed"],
    "POST /invitations/accept": ["member.changed"],
    "PUT /api/v1/users/{user_id}": ["member.changed", "member.changed"],
    "DELETE /api/v1/users/{user_id}": ["member.changed"],
    "PATCH /api/v1/admin/applications/{application_id}": ["bug.edited"],
    "POST /api/v1/admin/bugs/merge": ["bug.merged", "bug.merged"],
    "DELETE /api/v1/admin/bugs/{bug_id}": ["bug.removed"],
    "POST /api/v1/admin/bugs/{bug_id}/restore": ["bug.restored"],
    "POST /api/v1/admin/bugs/{bug_id}/unmerge": ["bug.unmerged", "bug.unmerged"],
    "DELETE /api/v1/admin/comments/{comment_id}": ["comment.removed"],
    "POST /api/v1/admin/comments/{comment_id}/restore": ["comment.created"],
}
"""By route; every other route that writes leaves none. Votes and bans move counts, which a job tells of later."""

OWNERS = {"POST /invitations/accept": "bystander"}
"""Whose act it is where a mailed link is the credential."""

OF_NOBODY = {("POST /api/v1/tickets/{ticket}/publication", "bug.created")}
"""What everybody may see of an act that only the company is told of."""

WRITES = ("POST", "PUT", "PATCH", "DELETE")
DONE = {row.route: row for row in documented_rows() if row.method in WRITES and "ok" in row.expected.values()}


def test_each_route_that_writes_is_called(roles_app: Litestar) -> None:
    served = {route for route in served_routes(roles_app) if route.startswith(WRITES)}
    assert set(DONE) == served
    assert set(LEFT) <= served


@pytest.mark.parametrize("row", DONE.values(), ids=str)
async def test_a_route_leaves_these_events_and_no_other(world: World, row: Row) -> None:
    role = next(role for role in reversed(ROLES) if row.expected[role] == "ok")
    known = _names(world)
    response = await call(world, row, role)
    assert response.is_success, response.text
    left = [event for event in _events(world) if _name(event) not in known]
    assert [event["type"] for event in left] == LEFT.get(row.route, [])
    for event in left:
        owner = world.people[OWNERS.get(row.route, role)].id
        assert event["actor_id"] == (None if (row.route, event["type"]) in OF_NOBODY else owner)
        assert event["cause"] == {"kind": "user", "chain": []}
        _check(world, event, private="internal" if row.thing == "an internal comment" else "tenant")


async def test_a_withdrawn_report_is_a_removed_bug_by_nobody(world: World) -> None:
    """The one of the role table has been merged into, so that its withdrawal takes only the owner's address away."""
    reported = await world.client.post("/api/v1/bugs", json=a_report())
    known = _names(world)
    secret = reported.json()["receipt"]["url"].rpartition("/")[2]
    response = await world.client.post(f"/api/v1/receipts/{secret}/withdraw")
    assert response.is_success, response.text
    (event,) = (event for event in _events(world) if _name(event) not in known)
    assert (event["type"], event["bug_id"]) == ("bug.removed", reported.json()["bug"]["id"])
    assert event["actor_id"] is None
    _check(world, event)


def _check(world: World, event: dict[str, Any], *, private: str = "tenant") -> None:
    """The event is in the stream of its company, visible to the right users, and contains no typed text."""
    if event["bug_id"] is None:
        assert event["visibility"] == private
        assert event["stream"] in world.ids.values()
    else:
        assert event["visibility"] == "public"
        assert event["stream"] == _stream_now(world, event["bug_id"])
    values = set(_values(event["data"]))
    assert all(len(value) <= MAX_VALUE_LENGTH for value in values)
    assert values & _typed(world) == set()
    assert not any("@" in value for value in values)


def _names(world: World) -> set[str]:
    return {_name(event) for event in _events(world)}


def _name(event: dict[str, Any]) -> str:
    return f"evt_{event['stream']}_{event['seq']}"


def _events(world: World) -> list[dict[str, Any]]:
    rows = world.sql.execute("SELECT to_jsonb(e) FROM events e ORDER BY at, stream, seq").fetchall()
    return [event for (event,) in rows]


def _stream_now(world: World, bug_id: str) -> str:
    row = world.sql.execute("SELECT assigned_company_id::text FROM bugs WHERE id = %s", (bug_id,)).fetchone()
    assert row is not None
    return row[0] or f"00000000-0000-8000-8000-00000000000{bug_id[-1]}"


def _values(data: Any) -> Iterator[str]:
    """All values of an event's data, at any depth."""
    if isinstance(data, dict):
        for value in data.values():
            yield from _values(value)
    elif isinstance(data, list):
        for value in data:
            yield from _values(value)
    else:
        yield str(data)


def _typed(world: World) -> set[str]:
    """What people have typed: texts of bugs and comments, reasons, names and addresses."""
    rows = world.sql.execute(
        "SELECT title FROM bugs UNION SELECT description FROM bug_texts UNION SELECT content FROM comments"
        " UNION SELECT details FROM audit_logs UNION SELECT email FROM users UNION SELECT username FROM users"
        " UNION SELECT name FROM applications UNION SELECT name FROM companies UNION SELECT domain FROM companies"
    ).fetchall()
    return {value for (value,) in rows if value}
