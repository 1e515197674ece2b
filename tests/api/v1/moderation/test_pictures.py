"""Who takes a picture away while its bug is merged into another, and who does when it is back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.v1.moderation.acts import Moderator, attach, seen
from tests.conftest import SignUp
from tests.factories import Person
from tests.responses import refused

Bug = dict[str, Any]
STAGES = ["before the merge", "merged", "unmerged"]


@pytest.fixture(params=STAGES)
async def picture(
    request: pytest.FixtureRequest, client: httpx.AsyncClient, admin: Person, bob: Person, bug: Bug, twin: Bug
) -> dict[str, Any]:
    """Bob's picture of his bug, and the id of the bug that it is shown with now."""
    picture = await attach(client, bob, twin["id"])
    moderator = Moderator(client, admin)
    if request.param != STAGES[0]:
        await moderator.merge(twin["id"], bug["id"])
    if request.param == STAGES[2]:
        await moderator.unmerge(twin["id"])
    shown_with = bug if request.param == "merged" else twin
    assert [one["id"] for one in (await seen(client, shown_with["id"]))["attachments"]] == [picture["id"]]
    return picture | {"bug_id": shown_with["id"]}


async def take_away(client: httpx.AsyncClient, person: Person, picture: dict[str, Any]) -> httpx.Response:
    path = f"/api/v1/bugs/{picture['bug_id']}/attachments/{picture['id']}"
    return await client.delete(path, headers=person.headers)


async def test_the_uploader_takes_the_picture_away(
    client: httpx.AsyncClient, bob: Person, picture: dict[str, Any]
) -> None:
    assert (await take_away(client, bob, picture)).status_code == 200
    assert (await seen(client, picture["bug_id"]))["attachments"] == []
    refused(await client.get(picture["file_url"]), 404, "FILE_NOT_FOUND")


async def test_an_admin_takes_the_picture_away(
    client: httpx.AsyncClient, admin: Person, picture: dict[str, Any]
) -> None:
    assert (await take_away(client, admin, picture)).status_code == 200
    assert (await seen(client, picture["bug_id"]))["attachments"] == []


async def test_a_stranger_does_not(
    client: httpx.AsyncClient, sign_up: SignUp, picture: dict[str, Any]
) -> None:
    cleo = await sign_up("cleo")
    refused(await take_away(client, cleo, picture), 403, "INSUFFICIENT_PERMISSIONS")
    assert len((await seen(client, picture["bug_id"]))["attachments"]) == 1


async def test_the_uploader_adds_nothing_to_the_bug_of_somebody_else(
    client: httpx.AsyncClient, admin: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    await attach(client, bob, twin["id"])
    await Moderator(client, admin).merge(twin["id"], bug["id"])
    files = {"file": ("a.png", b"", "image/png")}
    response = await client.post(f"/api/v1/bugs/{bug['id']}/attachments", files=files, headers=bob.headers)
    refused(response, 403, "INSUFFICIENT_PERMISSIONS")
