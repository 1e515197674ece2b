"""Profiles: mine, and what everybody may see; what I reported, voted for and wrote."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.v1.accounts.conftest import AUTH
from tests.conftest import SignUp
from tests.factories import Person, make_member, report
from tests.responses import bad_fields, ids_of, refused

Sql = psycopg.Connection[Any]
ME = "/api/v1/users/me"


async def change(client: httpx.AsyncClient, person: Person, **fields: Any) -> httpx.Response:
    return await client.put(f"{AUTH}/profile", json=fields, headers=person.headers)


async def test_my_profile_at_both_addresses(client: httpx.AsyncClient, ada: Person, sql: Sql) -> None:
    bug = await report(client, application_name="Paper", application_url="https://paper.example")
    make_member(sql, ada, bug["assigned_company_id"], role="admin")
    profile = await client.get(f"{AUTH}/profile", headers=ada.headers)
    assert profile.json() == (await client.get(ME, headers=ada.headers)).json()
    user = profile.json()["user"]
    assert user["email"] == ada.email
    (membership,) = user["company_memberships"]
    assert set(membership) == {"id", "company_id", "role", "added_at", "company"}
    assert membership["role"] == "admin"
    company = membership["company"]
    assert (company["id"], company["domain"], company["verified"]) == (
        membership["company_id"],
        "paper.example",
        True,
    )
    assert set(company) == {"id", "name", "domain", "verified"}
    refused(await client.get(ME), 401, "AUTH_REQUIRED")


async def test_a_change_leaves_what_is_absent(client: httpx.AsyncClient, ada: Person) -> None:
    first = await change(client, ada, display_name="  Ada  L. ", avatar_url="https://pics.example/a.png")
    assert set(first.json()) == {"message", "user"}
    user = first.json()["user"]
    assert (user["display_name"], user["avatar_url"], user["username"]) == (
        "Ada  L.",
        "https://pics.example/a.png",
        "ada",
    )
    assert user["company_memberships"] == []
    user = (await change(client, ada, username="Countess")).json()["user"]
    assert (user["display_name"], user["username"]) == ("Ada  L.", "Countess")
    user = (await change(client, ada, display_name="", avatar_url=None, username="")).json()["user"]
    assert (user["display_name"], user["avatar_url"], user["username"]) == (None, None, "Countess")


async def test_a_change_refuses_what_does_not_fit(client: httpx.AsyncClient, ada: Person) -> None:
    response = await change(
        client, ada, display_name="x" * 101, avatar_url="javascript:alert(1)", username="a b"
    )
    assert bad_fields(response) == ["avatar_url", "display_name", "username"]
    for url in (
        "ftp://pics.example/a",
        "//pics.example/a",
        "https://x.example/" + "a" * 500,
        "data:image/png;base64,x",
    ):
        assert bad_fields(await change(client, ada, avatar_url=url)) == ["avatar_url"]


async def test_a_name_that_somebody_has(client: httpx.AsyncClient, ada: Person, sign_up: SignUp) -> None:
    await sign_up("grace")
    refused(await change(client, ada, username="GRACE"), 409, "USERNAME_TAKEN")
    assert (await change(client, ada, username="ADA")).json()["user"]["username"] == "ADA"


async def test_a_new_name_stands_at_what_was_written_before(client: httpx.AsyncClient, ada: Person) -> None:
    bug = await report(client, ada)
    await change(client, ada, username="countess")
    shown = (await client.get(f"/api/v1/bugs/{bug['id']}", headers=ada.headers)).json()["bug"]
    assert shown["reporter"]["username"] == "countess"


@pytest.fixture
async def active(client: httpx.AsyncClient, ada: Person, sql: Sql) -> dict[str, Any]:
    """What Ada did: two bugs, of which one was removed, two votes and two comments."""
    mine, removed = await report(client, ada), await report(client, ada, title="Removed later")
    other = await report(client, title="Of somebody else")
    for bug in (other, removed):
        await client.post(f"/api/v1/bugs/{bug['id']}/vote", headers=ada.headers)
        sent = {"content": "Same <b onclick=x>here</b>"}
        await client.post(f"/api/v1/bugs/{bug['id']}/comments", json=sent, headers=ada.headers)
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (removed["id"],))
    return {"mine": mine["id"], "other": other["id"]}


async def test_what_i_reported_voted_for_and_wrote(
    client: httpx.AsyncClient, ada: Person, active: dict[str, Any]
) -> None:
    bugs = await client.get(f"{ME}/bugs", headers=ada.headers)
    assert ids_of(bugs) == [active["mine"]]
    assert bugs.json()["pagination"]["total"] == 1
    votes = (await client.get(f"{ME}/votes", headers=ada.headers)).json()
    assert [one["bug"]["id"] for one in votes["votes"]] == [active["other"]]
    assert votes["pagination"]["total"] == 1
    comments = (await client.get(f"{ME}/comments", headers=ada.headers)).json()
    assert [one["bug"]["id"] for one in comments["comments"]] == [active["other"]]
    assert comments["comments"][0]["content"] == "Same <\u2060b onclick=x>here</b>"
    for name in ("bugs", "votes", "comments"):
        assert bad_fields(await client.get(f"{ME}/{name}?limit=101&page=0", headers=ada.headers)) == [
            "limit",
            "page",
        ]
        refused(await client.get(f"{ME}/{name}"), 401, "AUTH_REQUIRED")
        past = (await client.get(f"{ME}/{name}?page=9", headers=ada.headers)).json()
        assert (past[name], past["pagination"]["total"]) == ([], 1)


async def test_my_lists_are_walked_page_by_page(client: httpx.AsyncClient, ada: Person, sql: Sql) -> None:
    bugs = [(await report(client, ada, title=f"Bug number {i}"))["id"] for i in range(5)]
    sql.execute("UPDATE bugs SET created_at = '2026-01-01'")
    walked: list[str] = []
    for page in (1, 2, 3):
        walked += ids_of(
            await client.get(f"{ME}/bugs", params={"page": page, "limit": 2}, headers=ada.headers)
        )
    assert sorted(walked) == sorted(bugs)


async def test_a_public_profile(client: httpx.AsyncClient, ada: Person, active: dict[str, Any]) -> None:
    await change(client, ada, display_name="Ada")
    response = await client.get(f"/api/v1/users/{ada.id}")
    assert response.status_code == 200
    user = response.json()["user"]
    assert set(user) == {
        "id", "username", "display_name", "avatar_url", "created_at", "bug_count", "vote_count", "comment_count",
    }  # fmt: skip
    assert (user["username"], user["display_name"]) == ("ada", "Ada")
    assert (user["bug_count"], user["vote_count"], user["comment_count"]) == (1, 1, 1)
    assert ada.email not in response.text


async def test_profiles_that_are_none(client: httpx.AsyncClient) -> None:
    refused(await client.get("/api/v1/users/x"), 400, "INVALID_ID")
    nobody = "00000000-0000-7000-8000-000000000000"
    refused(await client.get(f"/api/v1/users/{nobody}"), 404, "USER_NOT_FOUND")
