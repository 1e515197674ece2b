"""People report content; the reports are the queue."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.v1.moderation.acts import WHY, Moderator, Sql, comment
from tests.conftest import SignUp
from tests.factories import Person
from tests.factories import report as report_bug
from tests.responses import bad_fields, ids_of, refused

Bug = dict[str, Any]


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def flag(
    client: httpx.AsyncClient, person: Person, path: str, reason: str = "spam", **more: Any
) -> httpx.Response:
    return await client.post(f"/api/v1/{path}/flag", json={"reason": reason, **more}, headers=person.headers)


async def test_a_flag_is_taken_once_per_person_and_thing(
    client: httpx.AsyncClient, ada: Person, bob: Person, bug: Bug
) -> None:
    comment_id = await comment(client, bob, bug["id"], "buy this")
    for path in (f"bugs/{bug['id']}", f"comments/{comment_id}"):
        for person in (ada, bob):
            response = await flag(client, person, path, note="look")
            assert response.status_code == 201
            assert response.json()["reason"] == "spam"
            assert response.json()["message"] == "Reported to the moderators"
        refused(await flag(client, ada, path, "abuse"), 409, "ALREADY_FLAGGED")


async def test_a_flag_has_a_known_reason_and_a_short_note(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    path = f"bugs/{bug['id']}"
    assert bad_fields(await flag(client, ada, path, "boring")) == ["reason"]
    assert bad_fields(await flag(client, ada, path, "other", note="x" * 501)) == ["note"]
    assert bad_fields(await client.post(f"/api/v1/{path}/flag", json={}, headers=ada.headers)) == ["reason"]
    assert (await flag(client, ada, path, "private_data", note="")).status_code == 201


async def test_only_users_flag(client: httpx.AsyncClient, bob: Person, bug: Bug) -> None:
    comment_id = await comment(client, bob, bug["id"], "hello")
    for path in (f"bugs/{bug['id']}", f"comments/{comment_id}"):
        refused(await client.post(f"/api/v1/{path}/flag", json={"reason": "spam"}), 401, "AUTH_REQUIRED")


async def test_what_cannot_be_seen_cannot_be_flagged(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug
) -> None:
    gone = "01890000-0000-7000-8000-000000000000"
    comment_id = await comment(client, bob, bug["id"], "hello")
    await moderator.done("DELETE", f"comments/{comment_id}", WHY)
    refused(await flag(client, ada, f"comments/{comment_id}"), 404, "COMMENT_NOT_FOUND")
    refused(await flag(client, ada, f"comments/{gone}"), 404, "COMMENT_NOT_FOUND")
    refused(await flag(client, ada, f"bugs/{gone}"), 404, "BUG_NOT_FOUND")
    await moderator.remove(bug["id"])
    refused(await flag(client, ada, f"bugs/{bug['id']}"), 404, "BUG_NOT_FOUND")


async def test_the_queue_has_the_most_flagged_first(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    quiet = await report_bug(client, title="Nothing wrong here")
    comment_id = await comment(client, bob, twin["id"], "buy this")
    await flag(client, ada, f"bugs/{bug['id']}")
    await flag(client, ada, f"comments/{comment_id}", "abuse", note="see the link")
    await flag(client, ada, f"bugs/{twin['id']}", "duplicate")
    response = await moderator.get("bugs", flagged="true")
    assert ids_of(response) == [twin["id"], bug["id"]]
    assert response.json()["pagination"]["total"] == 2
    first = response.json()["bugs"][0]
    assert first["flag_count"] == 2
    assert {(one["reason"], one["note"], one["comment_id"]) for one in first["flags"]} == {
        ("duplicate", None, None),
        ("abuse", "see the link", comment_id),
    }
    assert {one["user"]["username"] for one in first["flags"]} == {"ada"}
    assert ids_of(await moderator.get("bugs", flagged="false")) == [quiet["id"]]


async def test_what_was_dealt_with_leaves_the_queue(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    comment_id = await comment(client, bob, twin["id"], "buy this")
    await flag(client, ada, f"comments/{comment_id}")
    await flag(client, ada, f"bugs/{bug['id']}")
    await moderator.remove(bug["id"])
    await moderator.done("DELETE", f"comments/{comment_id}", WHY)
    assert ids_of(await moderator.get("bugs", flagged="true")) == []
    assert ids_of(await moderator.get("bugs", flagged="true", removed="true")) == [bug["id"]]


async def test_a_flag_of_a_comment_follows_it_through_a_merge(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    await flag(client, ada, f"comments/{await comment(client, bob, twin['id'], 'buy this')}")
    await moderator.merge(twin["id"], bug["id"])
    assert ids_of(await moderator.get("bugs", flagged="true")) == [bug["id"]]
    await moderator.unmerge(twin["id"])
    assert ids_of(await moderator.get("bugs", flagged="true")) == [twin["id"]]


async def test_an_admin_flags_in_their_own_words_and_may_say_more(
    moderator: Moderator, sql: Sql, bug: Bug
) -> None:
    for reason in ("Looks like an advert", "It is an advert"):
        answer = await moderator.done("POST", f"bugs/{bug['id']}/flag", {"reason": reason})
        assert answer == {"message": "Bug flagged successfully", "bug_id": bug["id"], "reason": reason}
    (queued,) = (await moderator.get("bugs", flagged="true")).json()["bugs"]
    assert [one["reason"] for one in queued["flags"]] == ["It is an advert"]
    assert [one["details"] for one in await moderator.logs(action="bug_flag")] == [
        "It is an advert",
        "Looks like an advert",
    ]


async def test_moderators_see_what_the_public_does_not(
    client: httpx.AsyncClient, moderator: Moderator, ada: Person, bug: Bug
) -> None:
    await moderator.remove(bug["id"])
    (item,) = (await moderator.get("bugs")).json()["bugs"]
    assert item["removed_at"].endswith("Z")
    assert item["removed_reason"] == WHY["reason"]
    assert item["contact_email"] == "ada.private@people.example"
    assert item["reporter"] == {"id": ada.id, "username": "ada", "email": ada.email}
    assert (item["flag_count"], item["flags"], item["merged_into_id"]) == (0, [], None)
    assert item.keys() >= bug.keys() - {"operating_system", "device_type", "app_version", "browser_version"}


async def test_moderators_filter_by_state_status_and_words(
    client: httpx.AsyncClient, moderator: Moderator, bug: Bug, twin: Bug
) -> None:
    last = await report_bug(client, title="100% of the keys are dead")
    await moderator.remove(bug["id"])
    await moderator.merge(twin["id"], last["id"])
    assert ids_of(await moderator.get("bugs")) == [last["id"], twin["id"], bug["id"]]
    assert ids_of(await moderator.get("bugs", removed="true")) == [bug["id"]]
    assert ids_of(await moderator.get("bugs", removed="false")) == [last["id"], twin["id"]]
    assert ids_of(await moderator.get("bugs", status="fixed")) == []
    assert ids_of(await moderator.get("bugs", search="keys")) == [last["id"]]
    assert ids_of(await moderator.get("bugs", search="SAVING")) == [last["id"], bug["id"]]
    assert ids_of(await moderator.get("bugs", search="window closes")) == [last["id"], twin["id"]]
    assert ids_of(await moderator.get("bugs", search="0%")) == []
    assert ids_of(await moderator.get("bugs", search="!!!")) == []
    assert ids_of(await moderator.get("bugs", page=2, limit=2)) == [bug["id"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "new"),
        ("flagged", "maybe"),
        ("removed", "7"),
        ("page", "0"),
        ("limit", "101"),
        ("search", "x" * 501),
    ],
)
async def test_a_bad_filter_is_named(moderator: Moderator, field: str, value: str) -> None:
    assert bad_fields(await moderator.get("bugs", **{field: value})) == [field]


async def test_of_very_many_flags_fifty_are_shown_and_all_are_counted(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, bug: Bug
) -> None:
    sql.execute(
        "INSERT INTO users (id, email, email_key, username)"
        " SELECT gen_random_uuid(), i || '@x.example', i || '@x.example', 'u' || i FROM generate_series(1, 60) i"
    )
    sql.execute(
        "INSERT INTO flags (id, bug_id, user_id, reason)"
        " SELECT gen_random_uuid(), %s, id, 'spam' FROM users WHERE username LIKE 'u%%'",
        (bug["id"],),
    )
    (item,) = (await moderator.get("bugs", flagged="true")).json()["bugs"]
    assert (item["flag_count"], len(item["flags"])) == (60, 50)


async def test_a_flag_moves_last_active_at(
    client: httpx.AsyncClient, sql: Sql, bug: Bug, sign_up: SignUp
) -> None:
    cleo = await sign_up("cleo")
    sql.execute("UPDATE users SET last_active_at = '2020-01-01' WHERE id = %s", (cleo.id,))
    await flag(client, cleo, f"bugs/{bug['id']}")
    row = sql.execute("SELECT last_active_at > '2021-01-01' FROM users WHERE id = %s", (cleo.id,)).fetchone()
    assert row == (True,)
