"""What was written for a company is changed by those who speak for it today, and by nobody who did once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.api.v1.companies.conftest import Sql
from tests.factories import Person, make_admin, make_member, report
from tests.responses import refused

Respond = Callable[[Person], Awaitable[str]]


@pytest.fixture
def respond(client: httpx.AsyncClient, company: str) -> Respond:
    """`await respond(person)` posts an official response on a bug of the company; gives the comment's path."""

    async def respond(person: Person) -> str:
        bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
        written = await client.post(
            f"/api/v1/bugs/{bug['id']}/company-response",
            json={"content": "It is fixed in 2.0"},
            headers=person.headers,
        )
        assert written.status_code == 201, written.text
        return f"/api/v1/comments/{written.json()['comment']['id']}"

    return respond


async def correct(client: httpx.AsyncClient, path: str, person: Person) -> httpx.Response:
    return await client.patch(path, json={"content": "We never fix it"}, headers=person.headers)


async def untouchable(client: httpx.AsyncClient, sql: Sql, path: str, person: Person) -> None:
    """Neither corrected nor withdrawn by this person, and unchanged by the attempts."""
    refused(await correct(client, path, person), 403, "INSUFFICIENT_PERMISSIONS")
    refused(await client.delete(path, headers=person.headers), 403, "INSUFFICIENT_PERMISSIONS")
    kept = sql.execute("SELECT content, removed_at FROM comments WHERE id = %s", (path[-36:],)).fetchone()
    assert kept == ("It is fixed in 2.0", None)


async def test_members_change_the_responses_that_they_wrote(
    client: httpx.AsyncClient, member: Person, respond: Respond
) -> None:
    path = await respond(member)
    assert (await correct(client, path, member)).status_code == 200
    assert (await client.delete(path, headers=member.headers)).status_code == 200


@pytest.mark.parametrize("how", ["leaves", "is removed"])
async def test_former_members_cannot_change_their_responses(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    boss: Person,
    member: Person,
    respond: Respond,
    how: str,
) -> None:
    path = await respond(member)
    actor = member if how == "leaves" else boss
    left = await client.request(
        "DELETE",
        f"/api/v1/companies/{company}/members",
        json={"user_id": member.id},
        headers=actor.headers,
    )
    assert left.status_code == 200
    await untouchable(client, sql, path, member)
    make_member(sql, member, company)
    assert (await correct(client, path, member)).status_code == 200


async def test_former_members_can_change_their_own_comments(
    client: httpx.AsyncClient, sql: Sql, company: str, ada: Person
) -> None:
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    written = await client.post(
        f"/api/v1/bugs/{bug['id']}/comments", json={"content": "Same here"}, headers=ada.headers
    )
    path = f"/api/v1/comments/{written.json()['comment']['id']}"
    make_member(sql, ada, company)
    assert (await correct(client, path, ada)).status_code == 200
    sql.execute("DELETE FROM company_members")
    assert (await client.delete(path, headers=ada.headers)).status_code == 200


async def test_a_comment_that_became_a_response_by_itself_is_one(
    client: httpx.AsyncClient, sql: Sql, member: Person
) -> None:
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    written = await client.post(
        f"/api/v1/bugs/{bug['id']}/comments", json={"content": "It is fixed in 2.0"}, headers=member.headers
    )
    sql.execute("DELETE FROM company_members")
    await untouchable(client, sql, f"/api/v1/comments/{written.json()['comment']['id']}", member)


async def test_suspended_verification_suspends_this_right_too(
    client: httpx.AsyncClient, sql: Sql, root: Person, company: str, member: Person, respond: Respond
) -> None:
    path = await respond(member)
    for act, status in (("unverify", 403), ("verify", 200)):
        done = await client.post(
            f"/api/v1/admin/companies/{company}/{act}", json={"reason": "A doubt"}, headers=root.headers
        )
        assert done.status_code == 200
        assert (await correct(client, path, member)).status_code == status


async def test_a_change_of_role_takes_nothing_away(
    client: httpx.AsyncClient, company: str, boss: Person, member: Person, respond: Respond
) -> None:
    path = await respond(member)
    for role in ("admin", "member"):
        changed = await client.patch(
            f"/api/v1/companies/{company}/members/{member.id}", json={"role": role}, headers=boss.headers
        )
        assert changed.status_code == 200
        assert (await correct(client, path, member)).status_code == 200


async def test_another_companys_member_does_not_get_the_right_with_the_application(
    client: httpx.AsyncClient, sql: Sql, root: Person, other_boss: Person, member: Person, respond: Respond
) -> None:
    """The response was given for one company: it stays that one's when the bug goes to another."""
    path = await respond(member)
    sql.execute(
        "UPDATE bugs SET assigned_company_id = (SELECT id FROM companies WHERE domain = 'ink.example')"
    )
    assert (await correct(client, path, member)).status_code == 200
    sql.execute(
        "UPDATE company_members SET company_id = (SELECT id FROM companies WHERE domain = 'ink.example')"
    )
    sql.execute("UPDATE comments SET content = 'It is fixed in 2.0'")
    await untouchable(client, sql, path, member)


async def test_a_banned_author_touches_nothing(
    client: httpx.AsyncClient, sql: Sql, member: Person, respond: Respond
) -> None:
    path = await respond(member)
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (member.id,))
    refused(await correct(client, path, member), 403, "ACCOUNT_BANNED")
    refused(await client.delete(path, headers=member.headers), 403, "ACCOUNT_BANNED")


async def test_an_admins_response_needs_an_admin_still(
    client: httpx.AsyncClient, sql: Sql, ada: Person, respond: Respond
) -> None:
    make_admin(sql, ada)
    path = await respond(ada)
    sql.execute("UPDATE users SET is_admin = false WHERE id = %s", (ada.id,))
    await untouchable(client, sql, path, ada)
    make_admin(sql, ada)
    assert (await correct(client, path, ada)).status_code == 200


async def test_moderation_removes_a_former_response(
    client: httpx.AsyncClient, sql: Sql, root: Person, member: Person, respond: Respond
) -> None:
    path = await respond(member)
    sql.execute("DELETE FROM company_members")
    removed = await client.request(
        "DELETE",
        path.replace("/comments/", "/admin/comments/"),
        json={"reason": "Not true"},
        headers=root.headers,
    )
    assert removed.status_code == 200
