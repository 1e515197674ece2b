"""`GET /bugs/{id}`: what it shows, and to whom."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import psycopg

from tests.factories import Person, make_admin, make_member, merge_into, put_comments, remove, report
from tests.responses import refused

BUGS = "/api/v1/bugs"
Bug = dict[str, Any]
CONTACT = "contact@private.example"


async def shown(client: httpx.AsyncClient, bug_id: str, person: Person | None = None) -> Bug:
    response = await client.get(f"{BUGS}/{bug_id}", headers=person.headers if person else {})
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"bug"}
    bug: Bug = response.json()["bug"]
    return bug


async def test_the_detail_has_all_that_the_report_was_answered_and_more(
    client: httpx.AsyncClient, ada: Person
) -> None:
    bug = await report(client, ada, operating_system="Debian 13", description="**Bold** words stay as typed")
    detail = await shown(client, bug["id"], ada)
    more = {
        "attachments": [],
        "comments": [],
        "voted": False,
        "contact_email": None,
        "subscription": {"level": "all", "reason": "reported"},
    }
    assert detail == {**bug, **more}
    assert detail["description"] == "**Bold** words stay as typed"
    assert "<strong>Bold</strong>" in detail["description_html"]


async def test_voted_is_null_for_the_anonymous(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    assert (await shown(client, bug["id"]))["voted"] is None
    assert (await shown(client, bug["id"], ada))["voted"] is False
    await client.post(f"{BUGS}/{bug['id']}/vote", headers=ada.headers)
    assert (await shown(client, bug["id"], ada))["voted"] is True
    assert (await shown(client, bug["id"]))["voted"] is None


async def test_the_latest_hundred_comments_are_shown_oldest_first(
    client: httpx.AsyncClient, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    put_comments(sql, bug["id"], 103)
    detail = await shown(client, bug["id"])
    assert [one["content"] for one in detail["comments"]] == [f"number {i}" for i in range(3, 103)]
    assert detail["comment_count"] == 103
    page = (await client.get(f"{BUGS}/{bug['id']}/comments", params={"limit": 100})).json()
    assert [one["content"] for one in page["comments"]] == [f"number {i}" for i in range(100)]
    assert page["pagination"]["total"] == 103


async def test_a_comment_is_shown_with_its_public_author(
    client: httpx.AsyncClient, ada: Person, admin: Person, bug: Bug
) -> None:
    await client.post(f"{BUGS}/{bug['id']}/comments", json={"content": "`x`"}, headers=ada.headers)
    for person in (None, ada, admin):
        (comment,) = (await shown(client, bug["id"], person))["comments"]
        assert comment["user"] == {"id": ada.id, "username": "ada"}
        keys = {"id", "content", "content_html", "is_company_response", "created_at", "updated_at", "user"}
        assert comment.keys() >= keys
        assert comment["content_html"] == "<p><code>x</code></p>\n"


# --- who sees addresses ---------------------------------------------------------------------------------------------


async def test_the_contact_address_is_for_reporter_admins_and_members_of_the_verified_company(
    client: httpx.AsyncClient,
    admin: Person,
    others_member: Person,
    sign_up: Any,
    sql: psycopg.Connection[Any],
) -> None:
    ada = await sign_up("ada")
    bug = await report(client, ada, contact_email=CONTACT, application_url="https://paper.example")
    insider, stranger = await sign_up("insider"), await sign_up("stranger")
    make_member(sql, insider, bug["assigned_company_id"])
    for person in (ada, admin, insider):
        assert (await shown(client, bug["id"], person))["contact_email"] == CONTACT
    for nobody in (None, stranger, others_member):
        assert "contact_email" not in await shown(client, bug["id"], nobody)
    sql.execute("UPDATE companies SET verified = false")
    assert "contact_email" not in await shown(client, bug["id"], insider)
    sql.execute("UPDATE companies SET verified = true")
    sql.execute("DELETE FROM company_members WHERE user_id = %s", (insider.id,))
    assert "contact_email" not in await shown(client, bug["id"], insider)


async def test_the_contact_address_is_in_no_other_response(
    client: httpx.AsyncClient, ada: Person, admin: Person, sql: psycopg.Connection[Any]
) -> None:
    response = await client.post(
        BUGS,
        json={
            "title": "Secret contact",
            "description": "With a contact address",
            "application_name": "Paper",
            "application_url": "https://paper.example",
            "contact_email": CONTACT,
        },
        headers=ada.headers,
    )
    bug = response.json()["bug"]
    make_member(sql, ada, bug["assigned_company_id"])
    path = f"{BUGS}/{bug['id']}"
    answers = [
        response,
        await client.patch(path, json={"title": "Another title"}, headers=ada.headers),
        await client.patch(f"{path}/status", json={"status": "fixed"}, headers=ada.headers),
        await client.post(f"{path}/comments", json={"content": "x"}, headers=ada.headers),
        *[
            await client.get(url, headers=headers)
            for headers in ({}, ada.headers, admin.headers)
            for url in (BUGS, f"{BUGS}?search=secret", f"{path}/history", f"{path}/comments", "/api/v1/tags")
        ],
        await client.get(f"{BUGS}?search=contact%40private.example"),
        await client.get(path),
    ]
    for answer in answers:
        assert answer.is_success
        assert "contact_email" not in answer.text
        assert CONTACT not in answer.text


async def test_the_reporters_address_is_for_themself_and_admins(
    client: httpx.AsyncClient, ada: Person, admin: Person, sign_up: Any, sql: psycopg.Connection[Any]
) -> None:
    bug = await report(client, ada, application_url="https://paper.example")
    insider = await sign_up("insider")
    make_member(sql, insider, bug["assigned_company_id"])
    for person, email in ((ada, ada.email), (admin, ada.email), (insider, None), (None, None)):
        assert (await shown(client, bug["id"], person))["reporter"] == {
            "id": ada.id,
            "username": "ada",
            "email": email,
        }
    path = f"{BUGS}/{bug['id']}/status"
    for person, email in ((insider, None), (admin, ada.email)):
        answer = await client.patch(path, json={"status": "fixed"}, headers=person.headers)
        assert answer.json()["bug"]["reporter"]["email"] == email


async def test_no_cache_gives_one_viewers_response_to_another(
    client: httpx.AsyncClient, ada: Person, sign_up: Any, sql: psycopg.Connection[Any]
) -> None:
    bug = await report(client, ada, contact_email=CONTACT)
    root = await sign_up("root")
    make_admin(sql, root)
    for person in (root, ada, None, root, None, ada, None):
        detail = await shown(client, bug["id"], person)
        assert ("contact_email" in detail) is (person is not None)
        assert (detail["reporter"]["email"] is None) is (person is None)


# --- missing, removed, merged ---------------------------------------------------------------------------------------


def requests_of(bug_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """One request for each route below a bug, with a body that fits where one is read."""
    text = {"json": {"content": "A comment"}}
    picture = {"files": {"file": ("a.png", b"x", "image/png")}}
    path = f"{BUGS}/{bug_id}"
    return [
        ("GET", path, {}),
        ("HEAD", path, {}),
        ("PATCH", path, {"json": {"title": "A new title"}}),
        ("POST", f"{path}/vote", {}),
        ("PUT", f"{path}/vote", {}),
        ("DELETE", f"{path}/vote", {}),
        ("GET", f"{path}/comments", {}),
        ("POST", f"{path}/comments", text),
        ("POST", f"{path}/attachments", picture),
        ("DELETE", f"{path}/attachments/{uuid4()}", {}),
        ("PATCH", f"{path}/status", {"json": {"status": "fixed"}}),
        ("GET", f"{path}/history", {}),
        ("POST", f"{path}/company-response", text),
    ]


async def test_a_path_id_that_is_no_uuid_is_invalid_id(client: httpx.AsyncClient, ada: Person) -> None:
    for bad in ["1", "not-a-uuid", "%00", "x" * 3000, "' OR 1=1", "%f0%9f%90%9b", "0" * 32, "..."]:
        for method, path, rest in requests_of(bad):
            response = await client.request(method, path, headers=ada.headers, **rest)
            if method == "HEAD":
                assert response.status_code == 400
            else:
                refused(response, 400, "INVALID_ID")


async def test_ids_are_read_without_case(client: httpx.AsyncClient, bug: Bug) -> None:
    assert (await shown(client, bug["id"].upper()))["id"] == bug["id"]


async def test_an_unknown_bug_is_not_found_by_any_method(client: httpx.AsyncClient, admin: Person) -> None:
    for method, path, rest in requests_of(str(uuid4())):
        response = await client.request(method, path, headers=admin.headers, **rest)
        if method == "HEAD":
            assert response.status_code == 404
        else:
            refused(response, 404, "BUG_NOT_FOUND")


async def test_a_removed_bug_is_not_found_by_all_but_admins(
    client: httpx.AsyncClient,
    member: Person,
    admin: Person,
    sign_up: Any,
    sql: psycopg.Connection[Any],
) -> None:
    reporter = await sign_up("reporter")
    bug = await report(
        client, reporter, application_name="Paper", application_url="https://app.paper.example"
    )
    remove(sql, bug["id"])
    for person in (reporter, member):
        for method, path, rest in requests_of(bug["id"]):
            response = await client.request(method, path, headers=person.headers, **rest)
            if method == "HEAD":
                assert response.status_code == 404
            else:
                refused(response, 404, "BUG_NOT_FOUND")
    refused(await client.get(f"{BUGS}/{bug['id']}"), 404, "BUG_NOT_FOUND")
    assert (await shown(client, bug["id"], admin))["id"] == bug["id"]


async def test_a_merged_bug_is_308_to_its_target_for_every_method(
    client: httpx.AsyncClient, member: Person, admin: Person, sign_up: Any, sql: psycopg.Connection[Any]
) -> None:
    reporter = await sign_up("reporter")
    source = await report(
        client, reporter, application_name="Paper", application_url="https://app.paper.example"
    )
    target = await report(client)
    merge_into(sql, source["id"], target["id"])
    for person in (reporter, member, admin):
        for method, path, rest in requests_of(source["id"]):
            response = await client.request(method, f"{path}?page=2&x=%20y", headers=person.headers, **rest)
            assert response.status_code == 308, (method, path)
            wanted = path.replace(source["id"], target["id"]) + "?page=2&x=%20y"
            assert response.headers["location"] == wanted
    anonymous = await client.get(f"{BUGS}/{source['id']}/")
    assert (anonymous.status_code, anonymous.headers["location"]) == (308, f"{BUGS}/{target['id']}")
    upper = await client.get(f"{BUGS}/{source['id'].upper()}")
    assert upper.headers["location"] == f"{BUGS}/{target['id']}"


async def test_a_client_that_follows_does_to_the_target_what_it_asked(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    source, target = await report(client), await report(client)
    merge_into(sql, source["id"], target["id"])
    response = await client.post(
        f"{BUGS}/{source['id']}/comments",
        json={"content": "For both"},
        headers=ada.headers,
        follow_redirects=True,
    )
    assert response.status_code == 201
    assert [one["content"] for one in (await shown(client, target["id"]))["comments"]] == ["For both"]
    assert (await client.get(f"{BUGS}/{source['id']}", follow_redirects=True)).json()["bug"]["id"] == target[
        "id"
    ]
