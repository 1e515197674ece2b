"""Comments, their correction and withdrawal, and company responses."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.factories import Person, remove, report
from tests.responses import bad_fields, ids_of, refused

Bug = dict[str, Any]
COMMENT_KEYS = {
    *("id", "bug_id", "user_id", "content", "is_company_response", "created_at", "updated_at", "user"),
}


def comments_of(bug: Bug) -> str:
    return f"/api/v1/bugs/{bug['id']}/comments"


async def write(client: httpx.AsyncClient, person: Person, bug: Bug, content: str = "Same here") -> Bug:
    response = await client.post(comments_of(bug), json={"content": content}, headers=person.headers)
    assert response.status_code == 201, response.text
    comment: Bug = response.json()["comment"]
    return comment


async def count_of(client: httpx.AsyncClient, bug: Bug) -> int:
    return int((await client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]["comment_count"])


async def test_a_comment_is_answered_with_the_senders_own_address(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    response = await client.post(comments_of(bug), json={"content": " Same\r\nhere "}, headers=ada.headers)
    assert response.status_code == 201
    assert response.json()["message"] == "Comment created successfully"
    comment = response.json()["comment"]
    assert comment.keys() >= COMMENT_KEYS
    assert (comment["bug_id"], comment["user_id"], comment["content"]) == (bug["id"], ada.id, "Same\nhere")
    assert comment["user"] == {"id": ada.id, "username": "ada", "email": ada.email}
    assert comment["is_company_response"] is False
    (listed,) = (await client.get(comments_of(bug))).json()["comments"]
    assert listed["user"] == {"id": ada.id, "username": "ada"}
    assert await count_of(client, bug) == 1


async def test_a_comment_has_one_to_two_thousand_characters(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    for length in (1, 2000):
        await write(client, ada, bug, "é" * length)
    for content in ("", "   \n", "x" * 2001, None, 5, ["x"]):
        response = await client.post(comments_of(bug), json={"content": content}, headers=ada.headers)
        assert bad_fields(response) == ["content"]
    assert bad_fields(await client.post(comments_of(bug), json={}, headers=ada.headers)) == ["content"]
    assert await count_of(client, bug) == 2


async def test_the_anonymous_read_comments_and_write_none(client: httpx.AsyncClient, bug: Bug) -> None:
    refused(await client.post(comments_of(bug), json={"content": "x"}), 401, "AUTH_REQUIRED")
    assert ids_of(await client.get(comments_of(bug)), "comments") == []


async def test_a_members_comment_is_a_company_response_without_asking(
    client: httpx.AsyncClient, admin: Person, member: Person, others_member: Person, bug: Bug
) -> None:
    for person, speaks in ((admin, False), (member, True), (others_member, False)):
        assert (await write(client, person, bug))["is_company_response"] is speaks
    elsewhere = await report(client)
    assert (await write(client, member, elsewhere))["is_company_response"] is False


async def test_membership_of_an_unverified_company_speaks_for_nobody(
    client: httpx.AsyncClient, member: Person, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    sql.execute("UPDATE companies SET verified = false")
    assert (await write(client, member, bug))["is_company_response"] is False
    path = f"/api/v1/bugs/{bug['id']}/company-response"
    response = await client.post(path, json={"content": "x"}, headers=member.headers)
    refused(response, 403, "INSUFFICIENT_PERMISSIONS")


# --- official response ----------------------------------------------------------------------------------------------


async def test_members_and_admins_respond_officially(
    client: httpx.AsyncClient, admin: Person, member: Person, bug: Bug
) -> None:
    path = f"/api/v1/bugs/{bug['id']}/company-response"
    for count, person in enumerate((member, admin), start=1):
        response = await client.post(path, json={"content": "Fixed in 2.1"}, headers=person.headers)
        assert response.status_code == 201
        assert response.json()["message"] == "Company response added successfully"
        assert response.json()["comment"]["is_company_response"] is True
        assert response.json()["comment"].keys() >= COMMENT_KEYS
        assert await count_of(client, bug) == count


async def test_nobody_else_responds_officially(
    client: httpx.AsyncClient, ada: Person, others_member: Person, member: Person, sign_up: Any
) -> None:
    reporter = await sign_up("reporter")
    bug = await report(
        client, reporter, application_name="Paper", application_url="https://app.paper.example"
    )
    path = f"/api/v1/bugs/{bug['id']}/company-response"
    for person in (ada, others_member, reporter):
        response = await client.post(path, json={"content": "x"}, headers=person.headers)
        refused(response, 403, "INSUFFICIENT_PERMISSIONS")
    refused(await client.post(path, json={"content": "x"}), 401, "AUTH_REQUIRED")
    for content in ("", "x" * 2001):
        response = await client.post(path, json={"content": content}, headers=member.headers)
        assert bad_fields(response) == ["content"]
    assert await count_of(client, bug) == 0


# --- correction and withdrawal --------------------------------------------------------------------------------------


async def test_a_corrected_comment_says_when(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    comment = await write(client, ada, bug)
    assert comment["edited_at"] is None
    path = f"/api/v1/comments/{comment['id']}"
    response = await client.patch(path, json={"content": "Not *here*"}, headers=ada.headers)
    assert response.status_code == 200
    corrected = response.json()["comment"]
    assert corrected["content"] == "Not *here*"
    assert corrected["content_html"] == "<p>Not <em>here</em></p>\n"
    assert corrected["edited_at"] is not None
    assert corrected["updated_at"] > comment["updated_at"]
    assert corrected["created_at"] == comment["created_at"]
    (shown,) = (await client.get(comments_of(bug))).json()["comments"]
    assert (shown["content"], shown["edited_at"]) == ("Not *here*", corrected["edited_at"])
    assert await count_of(client, bug) == 1


async def test_a_withdrawn_comment_leaves_list_and_count(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    kept, withdrawn = await write(client, ada, bug), await write(client, ada, bug)
    path = f"/api/v1/comments/{withdrawn['id']}"
    assert (await client.delete(path, headers=ada.headers)).status_code == 200
    assert ids_of(await client.get(comments_of(bug)), "comments") == [kept["id"]]
    assert await count_of(client, bug) == 1
    refused(await client.delete(path, headers=ada.headers), 404, "COMMENT_NOT_FOUND")
    refused(await client.patch(path, json={"content": "x"}, headers=ada.headers), 404, "COMMENT_NOT_FOUND")
    assert await count_of(client, bug) == 1


async def test_only_its_author_touches_a_comment(
    client: httpx.AsyncClient, ada: Person, admin: Person, member: Person, bug: Bug
) -> None:
    comment = await write(client, ada, bug)
    path = f"/api/v1/comments/{comment['id']}"
    for person in (admin, member):
        response = await client.patch(path, json={"content": "x"}, headers=person.headers)
        refused(response, 403, "INSUFFICIENT_PERMISSIONS")
        refused(await client.delete(path, headers=person.headers), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await client.delete(path), 401, "AUTH_REQUIRED")
    assert (await client.get(comments_of(bug))).json()["comments"][0]["content"] == "Same here"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_comment_that_is_not_there(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: psycopg.Connection[Any], method: str
) -> None:
    async def sent(comment_id: str) -> httpx.Response:
        body = {"json": {"content": "x"}} if method == "PATCH" else {}
        return await client.request(method, f"/api/v1/comments/{comment_id}", headers=ada.headers, **body)

    refused(await sent("5"), 400, "INVALID_ID")
    refused(await sent(str(uuid4())), 404, "COMMENT_NOT_FOUND")
    comment = await write(client, ada, bug)
    remove(sql, bug["id"])
    refused(await sent(comment["id"]), 404, "COMMENT_NOT_FOUND")


async def test_notes_of_the_system_have_no_user(
    client: httpx.AsyncClient, bug: Bug, sql: psycopg.Connection[Any]
) -> None:
    sql.execute(
        "INSERT INTO comments (id, bug_id, content, content_html) VALUES (gen_random_uuid(), %s, 'Merged', '')",
        (bug["id"],),
    )
    (note,) = (await client.get(comments_of(bug))).json()["comments"]
    assert (note["user"], note["user_id"]) == (None, None)
