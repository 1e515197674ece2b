"""An admin's word on companies and applications."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.v1.moderation.acts import WHY, Moderator, Sql, seen
from tests.factories import Person, make_member
from tests.factories import report as report_bug
from tests.responses import bad_fields, refused

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


@pytest.fixture
async def ink(client: httpx.AsyncClient) -> dict[str, Any]:
    """A bug whose application stands on ink.example."""
    return await report_bug(client, application_name="Ink", application_url="https://ink.example")


async def test_losing_verification_suspends_the_members_until_it_is_back(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, bob: Person, ink: dict[str, Any]
) -> None:
    company_id = ink["assigned_company_id"]
    make_member(sql, bob, company_id)

    async def answer() -> int:
        response = await client.patch(
            f"/api/v1/bugs/{ink['id']}/status", json={"status": "reviewing"}, headers=bob.headers
        )
        return response.status_code

    assert await answer() == 200
    done = await moderator.done("POST", f"companies/{company_id}/unverify", WHY)
    assert done == {"message": "Company unverified successfully", "company_id": company_id, **WHY}
    assert await answer() == 403
    assert (await seen(client, ink["id"]))["assigned_company"]["verified"] is False
    refused(await moderator.send("POST", f"companies/{company_id}/unverify", WHY), 409, "NOT_VERIFIED")
    await moderator.done("POST", f"companies/{company_id}/verify", WHY)
    assert await answer() == 200
    refused(await moderator.send("POST", f"companies/{company_id}/verify", WHY), 409, "ALREADY_VERIFIED")
    assert [log["action"] for log in await moderator.logs()] == ["company_verify", "company_unverify"]


async def test_bugs_follow_a_reassigned_application(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, ink: dict[str, Any]
) -> None:
    bare = await report_bug(client, application_name="Slack")
    assert bare["assigned_company_id"] is None
    for company_id in (ink["assigned_company_id"], None):
        answer = await moderator.done(
            "PATCH", f"applications/{bare['application_id']}", {"company_id": company_id, **WHY}
        )
        assert answer["company_id"] == company_id
        shown = (await client.get(f"/api/v1/bugs/{bare['id']}", headers=admin.headers)).json()["bug"]
        assert shown["assigned_company_id"] == company_id
    before_and_after = [(log["before"], log["after"]) for log in await moderator.logs()]
    ours, none = {"company_id": ink["assigned_company_id"]}, {"company_id": None}
    assert before_and_after == [(ours, none), (none, ours)]


async def test_an_application_goes_to_a_company_that_there_is(
    moderator: Moderator, ink: dict[str, Any]
) -> None:
    path = f"applications/{ink['application_id']}"
    refused(await moderator.send("PATCH", path, {"company_id": NOBODY}), 404, "COMPANY_NOT_FOUND")
    assert bad_fields(await moderator.send("PATCH", path, {"company_id": "7"})) == ["company_id"]
    assert bad_fields(await moderator.send("PATCH", path, {})) == ["company_id"]
    await moderator.done("PATCH", path, {"company_id": ink["assigned_company_id"]})
    assert await moderator.logs() == []
