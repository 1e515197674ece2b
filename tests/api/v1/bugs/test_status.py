"""`PATCH /bugs/{id}/status`."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from tests.factories import Person, report
from tests.responses import bad_fields, refused

Bug = dict[str, Any]


async def change(client: httpx.AsyncClient, person: Person | None, bug: Bug, status: Any) -> httpx.Response:
    headers = person.headers if person else {}
    return await client.patch(f"/api/v1/bugs/{bug['id']}/status", json={"status": status}, headers=headers)


async def changed(client: httpx.AsyncClient, person: Person, bug: Bug, status: str) -> Bug:
    response = await change(client, person, bug, status)
    assert response.status_code == 200, response.text
    assert response.json()["message"] == "Bug status updated successfully"
    after: Bug = response.json()["bug"]
    assert after.keys() == bug.keys()
    assert after["status"] == status
    return after


async def test_members_and_admins_change_the_status(
    client: httpx.AsyncClient, member: Person, admin: Person, bug: Bug
) -> None:
    for person, status in ((member, "reviewing"), (admin, "fixed")):
        await changed(client, person, bug, status)
        assert (await client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]["status"] == status


async def test_nobody_else_does(
    client: httpx.AsyncClient,
    ada: Person,
    others_member: Person,
    member: Person,
    sql: psycopg.Connection[Any],
) -> None:
    bug = await report(client, ada, application_name="Paper", application_url="https://app.paper.example")
    for person in (ada, others_member):
        refused(await change(client, person, bug, "fixed"), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await change(client, None, bug, "fixed"), 401, "AUTH_REQUIRED")
    sql.execute("UPDATE companies SET verified = false")
    refused(await change(client, member, bug, "fixed"), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]["status"] == "open"
    assert sql.execute("SELECT count(*) FROM status_changes").fetchone() == (0,)


async def test_a_bug_without_a_company_is_for_admins_alone(
    client: httpx.AsyncClient, member: Person, admin: Person
) -> None:
    bug = await report(client)
    refused(await change(client, member, bug, "fixed"), 403, "INSUFFICIENT_PERMISSIONS")
    await changed(client, admin, bug, "fixed")


async def test_resolved_at_follows_the_status(client: httpx.AsyncClient, member: Person, bug: Bug) -> None:
    assert (await changed(client, member, bug, "reviewing"))["resolved_at"] is None
    fixed = await changed(client, member, bug, "fixed")
    assert fixed["resolved_at"] is not None
    assert (await changed(client, member, bug, "wont_fix"))["resolved_at"] == fixed["resolved_at"]
    assert (await changed(client, member, bug, "wont_fix"))["resolved_at"] == fixed["resolved_at"]
    assert (await changed(client, member, bug, "open"))["resolved_at"] is None
    again = await changed(client, member, bug, "wont_fix")
    assert again["resolved_at"] > fixed["resolved_at"]


async def test_updated_at_moves_also_when_the_status_stays(
    client: httpx.AsyncClient, member: Person, bug: Bug
) -> None:
    moments = [bug["updated_at"]]
    moments += [
        (await changed(client, member, bug, status))["updated_at"] for status in ("open", "fixed", "fixed")
    ]
    assert moments == sorted(set(moments))


async def test_each_change_is_one_row_of_history(
    client: httpx.AsyncClient, member: Person, admin: Person, bug: Bug
) -> None:
    for person, status in ((member, "open"), (member, "fixed"), (member, "fixed"), (admin, "wont_fix")):
        await changed(client, person, bug, status)
    body = (await client.get(f"/api/v1/bugs/{bug['id']}/history")).json()
    first, second = body["history"]
    assert body["pagination"]["total"] == 2
    assert first.keys() >= {"id", "kind", "from_status", "to_status", "at", "user", "company"}
    assert (first["kind"], first["from_status"], first["to_status"]) == ("status", "open", "fixed")
    assert first["user"] == {"id": member.id, "username": "grace"}
    assert first["company"] == {"id": bug["assigned_company_id"], "name": "paper.example"}
    assert (second["from_status"], second["to_status"], second["company"]) == ("fixed", "wont_fix", None)
    assert second["user"]["id"] == admin.id
    assert first["at"] < second["at"]


async def test_only_the_four_statuses_are_known(client: httpx.AsyncClient, member: Person, bug: Bug) -> None:
    for status in ["closed", "OPEN", "", None, 1, ["open"], True]:
        assert bad_fields(await change(client, member, bug, status)) == ["status"]
