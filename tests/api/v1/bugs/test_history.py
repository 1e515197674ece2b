"""`PATCH /bugs/{id}` and `GET /bugs/{id}/history`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.factories import Person, report
from tests.responses import bad_fields, refused

Bug = dict[str, Any]


@pytest.fixture
async def mine(client: httpx.AsyncClient, ada: Person) -> Bug:
    return await report(
        client, ada, title="The first title", tags=["ui"], operating_system="Debian 13", app_version="1.0"
    )


async def correct(
    client: httpx.AsyncClient, person: Person | None, bug: Bug, **fields: Any
) -> httpx.Response:
    headers = person.headers if person else {}
    return await client.patch(f"/api/v1/bugs/{bug['id']}", json=fields, headers=headers)


async def history_of(client: httpx.AsyncClient, bug: Bug) -> list[Bug]:
    entries: list[Bug] = (await client.get(f"/api/v1/bugs/{bug['id']}/history")).json()["history"]
    return entries


async def test_the_former_text_stays_in_the_history(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    response = await correct(
        client,
        ada,
        mine,
        title="The second title",
        description="Now *this* is it",
        tags=["UI", "Draft"],
        app_version="",
    )
    assert response.status_code == 200
    after = response.json()["bug"]
    assert (after["title"], after["tags"], after["app_version"]) == (
        "The second title",
        ["ui", "draft"],
        None,
    )
    assert after["description_html"] == "<p>Now <em>this</em> is it</p>\n"
    assert after["operating_system"] == "Debian 13"
    assert after["updated_at"] > mine["updated_at"]
    detail = (await client.get(f"/api/v1/bugs/{mine['id']}")).json()["bug"]
    assert {name: detail[name] for name in after if name != "reporter"} == {
        name: value for name, value in after.items() if name != "reporter"
    }

    await correct(client, ada, mine, title="The third title")
    first, second = await history_of(client, mine)
    assert first.keys() >= {"id", "kind", "user", "company", "at"}
    assert (first["kind"], first["company"]) == ("edit", None)
    assert first["user"] == {"id": ada.id, "username": "ada"}
    assert first["before"] == {
        "title": "The first title",
        "description": mine["description"],
        "tags": ["ui"],
        "app_version": "1.0",
    }
    assert second["before"] == {"title": "The second title"}


async def test_what_stays_the_same_is_no_edit(client: httpx.AsyncClient, ada: Person, mine: Bug) -> None:
    for fields in (
        {},
        {"title": " The first title "},
        {"tags": ["UI"]},
        {"colour": "red"},
        {"device_type": None},
    ):
        response = await correct(client, ada, mine, **fields)
        assert response.status_code == 200
        assert response.json()["bug"]["updated_at"] == mine["updated_at"]
    assert await history_of(client, mine) == []


async def test_tags_can_be_taken_away(client: httpx.AsyncClient, ada: Person, mine: Bug) -> None:
    for tags in ([], None, ""):
        await correct(client, ada, mine, tags=["one"])
        assert (await correct(client, ada, mine, tags=tags)).json()["bug"]["tags"] == []


async def test_only_the_named_fields_can_be_corrected(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    response = await correct(
        client,
        ada,
        mine,
        status="fixed",
        priority="critical",
        application_name="Other",
        vote_count=9,
        reporter_id=None,
    )
    assert response.json()["bug"] == mine


async def test_only_the_reporter_corrects(
    client: httpx.AsyncClient, admin: Person, member: Person, mine: Bug, bug: Bug
) -> None:
    refused(await correct(client, None, mine, title="Another title"), 401, "AUTH_REQUIRED")
    for person, target in ((admin, mine), (member, mine), (member, bug), (admin, bug)):
        refused(await correct(client, person, target, title="Another title"), 403, "INSUFFICIENT_PERMISSIONS")


async def test_a_correction_is_held_to_the_rules_of_a_report(
    client: httpx.AsyncClient, ada: Person, mine: Bug
) -> None:
    response = await correct(
        client, ada, mine, title="", description=None, tags=["a", "b,c"], device_type="x" * 101, app_version=5
    )
    assert bad_fields(response) == ["app_version", "description", "device_type", "tags[1]", "title"]
    assert await history_of(client, mine) == []


async def test_history_is_oldest_first_over_all_kinds(
    client: httpx.AsyncClient, member: Person, sign_up: Any
) -> None:
    reporter = await sign_up("reporter")
    bug = await report(
        client, reporter, application_name="Paper", application_url="https://app.paper.example"
    )
    path = f"/api/v1/bugs/{bug['id']}/status"
    await correct(client, reporter, bug, title="Another title")
    await client.patch(path, json={"status": "fixed"}, headers=member.headers)
    await correct(client, reporter, bug, title="Yet another title")
    entries = await history_of(client, bug)
    assert [one["kind"] for one in entries] == ["edit", "status", "edit"]
    assert [one["at"] for one in entries] == sorted(one["at"] for one in entries)
