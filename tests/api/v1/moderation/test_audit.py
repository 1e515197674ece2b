"""The audit log: one row an act, in the same transaction, never changed, without names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from click.testing import CliRunner

from bugrelay.cli import main
from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.v1.moderation.acts import WHY, Moderator, Sql, comment, merging, vote
from tests.conftest import TEST_ENVIRONMENT, StartApp
from tests.factories import PASSWORD, Person, make_admin, register
from tests.factories import report as report_bug
from tests.responses import bad_fields, ids_of

Bug = dict[str, Any]


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def test_every_act_writes_its_one_row(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    comment_id = await comment(client, bob, bug["id"], "hello")
    company_id = (await report_bug(client, application_url="https://ink.example"))["assigned_company_id"]
    application_id = bug["application_id"]
    acts: list[tuple[str, str, Any, str, str]] = [
        ("POST", f"bugs/{bug['id']}/flag", WHY, "bug_flag", bug["id"]),
        ("DELETE", f"bugs/{bug['id']}", WHY, "bug_remove", bug["id"]),
        ("POST", f"bugs/{bug['id']}/restore", None, "bug_restore", bug["id"]),
        ("POST", "bugs/merge", merging(twin["id"], bug["id"]), "bug_merge", twin["id"]),
        ("POST", f"bugs/{twin['id']}/unmerge", WHY, "bug_unmerge", twin["id"]),
        ("DELETE", f"comments/{comment_id}", WHY, "comment_remove", comment_id),
        ("POST", f"comments/{comment_id}/restore", WHY, "comment_restore", comment_id),
        ("POST", f"users/{bob.id}/ban", WHY, "user_ban", bob.id),
        ("POST", f"users/{bob.id}/unban", WHY, "user_unban", bob.id),
        ("POST", f"companies/{company_id}/verify", WHY, "company_verify", company_id),
        ("POST", f"companies/{company_id}/unverify", WHY, "company_unverify", company_id),
        (
            "PATCH",
            f"applications/{application_id}",
            {"company_id": company_id, **WHY},
            "application_reassign",
            application_id,
        ),
    ]
    for number, (method, path, body, action, resource_id) in enumerate(acts, start=1):
        await moderator.done(method, path, body)
        logs = await moderator.logs()
        assert len(logs) == number, path
        newest = logs[0]
        assert (newest["action"], newest["resource_id"]) == (action, resource_id)
        assert newest["resource"] == action.partition("_")[0]
        assert newest["details"] == (body["reason"] if body else None)
        assert newest["user"] == {"id": admin.id, "username": "root", "email": admin.email}
        if action != "bug_flag":  # which changes nothing of the bug itself
            assert newest["before"].keys() == newest["after"].keys()
            assert newest["before"] != newest["after"]


async def test_a_row_says_where_the_admin_called_from(start_app: StartApp, sql: Sql) -> None:
    proxies = {"trusted_proxies": (ip_network("127.0.0.0/8"),)}
    async with start_app(**proxies) as client:
        admin = await register(client, "root")
        make_admin(sql, admin)
        bug = await report_bug(client)
        headers = {**admin.headers, "User-Agent": "agent " * 100, "X-Forwarded-For": "203.0.113.7"}
        await client.request("DELETE", f"/api/v1/admin/bugs/{bug['id']}", json=WHY, headers=headers)
        (log,) = await Moderator(client, admin).logs()
    assert log["ip_address"] == "203.0.113.7"
    assert log["user_agent"] == ("agent " * 100)[:300]


async def test_a_refused_act_leaves_no_row(moderator: Moderator, bug: Bug) -> None:
    await moderator.send("POST", f"bugs/{bug['id']}/restore")
    await moderator.send("POST", "bugs/merge", merging(bug["id"], bug["id"]))
    assert await moderator.logs() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET details = 'nothing happened'",
        "UPDATE audit_logs SET details = details WHERE false",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "TRUNCATE users CASCADE",
    ],
)
async def test_the_database_refuses_to_change_the_log(
    moderator: Moderator, sql: Sql, bug: Bug, statement: str
) -> None:
    await moderator.remove(bug["id"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        sql.execute(statement)
    assert [log["action"] for log in await moderator.logs()] == ["bug_remove"]


async def test_an_erased_account_is_erased_here_too(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, bob: Person, bug: Bug
) -> None:
    make_admin(sql, bob)
    await Moderator(client, bob).remove(bug["id"])
    response = await client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=bob.headers
    )
    assert response.status_code == 200
    (log,) = await moderator.logs()
    assert log["user"] == {"id": bob.id, "username": "deleted user", "email": None}
    stored = sql.execute("SELECT string_agg(l::text, ' ') FROM audit_logs l").fetchone()
    assert stored is not None
    assert "bob" not in stored[0]


async def test_rows_hold_no_name_and_no_address(
    client: httpx.AsyncClient, moderator: Moderator, sql: Sql, ada: Person, bob: Person, bug: Bug, twin: Bug
) -> None:
    await vote(client, bob, bug["id"])
    await moderator.ban(bob.id)
    await moderator.merge(twin["id"], bug["id"])
    await moderator.remove(bug["id"])
    stored = sql.execute("SELECT string_agg(l::text, ' ') FROM audit_logs l").fetchone()
    assert stored is not None
    for name in ("bob", "ada", "root", "people.example", bug["title"]):
        # A whole word: an id may have the letters of a name in it.
        assert not re.search(rf"\b{re.escape(name)}\b", stored[0])


async def test_the_log_is_filtered(
    client: httpx.AsyncClient, moderator: Moderator, admin: Person, sql: Sql, bob: Person, bug: Bug, twin: Bug
) -> None:
    make_admin(sql, bob)
    await Moderator(client, bob).remove(twin["id"])
    await moderator.remove(bug["id"])
    await moderator.restore(bug["id"])
    await moderator.ban((await register(client, "cleo")).id)

    async def actions(**query: Any) -> list[str]:
        return [log["action"] for log in await moderator.logs(**query)]

    assert await actions() == ["user_ban", "bug_restore", "bug_remove", "bug_remove"]
    assert await actions(action="bug_remove") == ["bug_remove"] * 2
    assert await actions(resource="user") == ["user_ban"]
    assert await actions(resource_id=bug["id"]) == ["bug_restore", "bug_remove"]
    assert await actions(user_id=bob.id) == ["bug_remove"]
    assert await actions(user_id=admin.id, resource="bug", action="bug_restore") == ["bug_restore"]
    moment = (await moderator.logs(action="bug_restore"))[0]["created_at"]
    assert await actions(**{"from": moment}) == ["user_ban", "bug_restore"]
    assert await actions(to=moment) == ["bug_remove", "bug_remove"]
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert await actions(**{"from": ahead}) == []
    assert ids_of(await moderator.get("audit-logs", limit=2, page=2), "logs") == [
        log["id"] for log in (await moderator.logs())[2:]
    ]


async def test_a_page_of_the_log_has_fifty_rows(
    client: httpx.AsyncClient, moderator: Moderator, bug: Bug
) -> None:
    for _ in range(51):
        await moderator.done("POST", f"bugs/{bug['id']}/flag", WHY)
    response = (await moderator.get("audit-logs")).json()
    assert len(response["logs"]) == 50
    assert response["pagination"] == {
        "page": 1, "limit": 50, "total": 51, "total_pages": 2, "has_next": True, "has_prev": False,
    }  # fmt: skip
    dashboard = (await moderator.get("dashboard")).json()
    assert dashboard["recent_activity"] == response["logs"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "bug_steal"), ("resource", "moon"), ("resource_id", "7"), ("user_id", "root"), ("from", "yesterday"),
        ("to", "2026-01-15T10:30:00"), ("from", "1e999"), ("limit", "101"), ("page", "1000001"),
    ],
)  # fmt: skip
async def test_a_bad_filter_of_the_log_is_named(moderator: Moderator, field: str, value: str) -> None:
    assert bad_fields(await moderator.get("audit-logs", **{field: value})) == [field]


async def test_the_edges_of_time_are_no_error(moderator: Moderator) -> None:
    for moment in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z"):
        for field in ("from", "to"):
            assert (await moderator.get("audit-logs", **{field: moment})).status_code == 200


async def test_a_claim_is_written_down_by_its_event(platform: Platform, sql: Sql, ada: Person) -> None:
    company_id = uuid4()
    async with platform.work() as work:
        work.record(
            CompanyClaimed(company_id=company_id, claim_id=uuid4(), method="dns", actor_id=UUID(ada.id))
        )
    row = sql.execute(
        "SELECT action, resource, resource_id, user_id, after ->> 'method' FROM audit_logs"
    ).fetchone()
    assert row == ("company_claim", "company", company_id, UUID(ada.id), "dns")


def test_a_new_admin_is_written_down_by_the_command(settings: Settings, empty_board: None, sql: Sql) -> None:
    environment = TEST_ENVIRONMENT | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
    }
    words = ["create-admin", "--email", "root@people.example", "--username", "root", "--password", PASSWORD]
    done = CliRunner().invoke(main, words, env=environment)
    assert done.exit_code == 0, done.output
    row = sql.execute(
        "SELECT action, resource, resource_id = u.id, a.user_id, ip_address, user_agent FROM audit_logs a, users u"
    ).fetchone()
    assert row == ("admin_create", "user", True, None, None, None)
