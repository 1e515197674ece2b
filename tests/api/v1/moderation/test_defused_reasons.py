"""What admins and reporters of content type into reasons and notes runs nothing in any answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

from bugrelay.infra.text.markup import WORD_JOINER
from tests.api.v1.moderation.acts import Moderator, comment, merging
from tests.factories import Person, report

Bug = dict[str, Any]
TYPED = "<img src=x onerror=alert(1)>"
READ = TYPED.replace("<", "<" + WORD_JOINER)
WHY = {"reason": TYPED}


async def acts(
    moderator: Moderator, bug: Bug, *, twin_id: str, comment_id: str, user_id: str
) -> AsyncIterator[Any]:
    """Every act of an admin that asks for a reason."""
    merge = merging(twin_id, bug["id"]) | WHY
    for method, path, body in (
        ("POST", "bugs/merge", merge),
        ("POST", f"bugs/{twin_id}/unmerge", WHY),
        ("DELETE", f"comments/{comment_id}", WHY),
        ("DELETE", f"bugs/{bug['id']}", WHY),
        ("POST", f"users/{user_id}/ban", WHY),
        ("POST", f"users/{user_id}/unban", WHY),
        ("POST", f"companies/{bug['assigned_company_id']}/verify", WHY),
        ("POST", f"companies/{bug['assigned_company_id']}/unverify", WHY),
    ):
        yield await moderator.done(method, path, body)


async def test_reasons_and_notes_are_defused_wherever_they_come_back(
    client: httpx.AsyncClient, admin: Person, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    moderator = Moderator(client, admin)
    for named in (bug, twin):
        flag = {"reason": "other", "note": TYPED}
        path = f"/api/v1/bugs/{named['id']}/flag"
        assert (await client.post(path, json=flag, headers=bob.headers)).status_code in (200, 201)
    queue = await moderator.get("bugs", flagged="true")
    assert {one["note"] for flagged in queue.json()["bugs"] for one in flagged["flags"]} == {READ}
    flagged = await moderator.send("POST", f"bugs/{bug['id']}/flag", WHY)
    assert flagged.json()["reason"] == READ
    move = {"company_id": None, **WHY}
    assert (await moderator.send("PATCH", f"applications/{bug['application_id']}", move)).status_code == 200
    company = await report_of_a_company(client)
    comment_id = await comment(client, bob, bug["id"], "I see it too")
    ids = {"twin_id": twin["id"], "comment_id": comment_id, "user_id": ada.id}
    async for answer in acts(moderator, {**bug, "assigned_company_id": company}, **ids):
        assert answer["reason"] == READ
    for path in ("bugs?removed=true", "audit-logs", "dashboard"):
        response = await moderator.get(path)
        assert READ in response.text
        assert TYPED not in response.text
    export = await client.get("/api/v1/users/me/export", headers=admin.headers)
    assert READ in export.text
    assert TYPED not in export.text


async def report_of_a_company(client: httpx.AsyncClient) -> str:
    """The id of the company that a new bug is assigned to."""
    bug = await report(client, application_name="Ink", application_url="https://ink.example")
    company_id: str = bug["assigned_company_id"]
    return company_id
