"""Tickets become issues, once, as they are described; what is done closes, what is reopened opens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.github import client as github_client
from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.domain.github.conftest import SECONDS, NewTenant, Sql, Tenant, Working
from tests.domain.github.fake_github import LOGIN, TOKEN, FakeGitHub, Repository
from tests.faults.proxy import FaultProxy
from tests.infra.redis.server import eventually

ISSUES = "POST /repos/paper/reports/issues"
REPOSITORY = "GET /repos/paper/reports"
CANARY = "canary7f3a"
CAPTURED_SECRET = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"


def a_minute_later(sql: Sql) -> None:
    """As if the time of every pause had passed, and a minute since the last try."""
    sql.execute("UPDATE github_pushes SET next_at = now() WHERE state = 'pending'")
    sql.execute("UPDATE github_issues SET tried_at = tried_at - interval '61 s' WHERE state = 'creating'")
    sql.execute("UPDATE github_comments SET tried_at = tried_at - interval '61 s' WHERE state = 'creating'")
    sql.execute("UPDATE github_tokens SET ready_at = now(), leased_until = now()")


async def test_a_report_becomes_an_issue_and_closes_and_opens_it(
    tenant: Tenant, working: Working, github: FakeGitHub, repository: Repository
) -> None:
    await tenant.connect(labels=["from-users"])
    ticket = await tenant.report("The @printer is on #fire", severity="high", category="help")
    assert (await tenant.shown(ticket))["github_sync_status"] == "pending"
    async with working():
        await tenant.settled()
        (issue,) = repository.issues
        assert issue["title"].replace("\u2060", "") == f"[{ticket['key']}] The @printer is on #fire"
        assert [label["name"] for label in issue["labels"]] == ["question", "priority:high", "from-users"]
        assert github.marks() == [ticket["id"]]
        assert issue["user"]["login"] == LOGIN
        shown = await tenant.shown(ticket)
        assert shown["github_sync_status"] == "synced"
        assert shown["github_issue_number"] == issue["number"]
        assert shown["github_issue_id"] == issue["id"]
        assert shown["github_issue_url"] == issue["html_url"]
        assert shown["github_synced_at"] is not None
        for status, state, reason in (
            ("closed", "closed", "not_planned"),
            ("in_progress", "open", "reopened"),
            ("resolved", "closed", "completed"),
        ):
            await tenant.move(ticket, status)
            await tenant.settled()
            assert (issue["state"], issue["state_reason"]) == (state, reason)
    assert github.most_at_once == 1
    assert len(repository.issues) == 1


async def test_internal_and_redacted_text_is_not_sent_and_public_repositories_get_no_names(
    tenant: Tenant, working: Working, github: FakeGitHub, repository: Repository, sql: Sql
) -> None:
    github.add("paper/public", private=False)
    await tenant.connect(comments_out=True)
    capture = {
        "console_errors": [{"message": f"token {CAPTURED_SECRET} refused", "level": "error"}],
        "api_history": [{"url": "/api/orders?access_token=hunter2hunter2", "status": 500}],
        "user_actions": [{"type": "click", "target": "#buy"}],
        "local_storage_data": {"cart": "three pens"},
        "browser_info": {"name": "Firefox", "version": "140"},
        "page_url": "https://paper.example/orders",
        "steps_to_reproduce": "Press the button",
    }
    ticket = await tenant.report(**capture)
    path = f"/api/v1/tickets/{ticket['id']}"
    note = {"internalNotes": f"{CANARY} note", "version": ticket["version"]}
    await tenant.done("PUT", path, note)
    await tenant.done("POST", f"{path}/comments", {"content": f"{CANARY} inside", "isInternal": True})
    await tenant.done("POST", f"{path}/comments", {"content": "We are looking @you"})
    async with working():
        await tenant.settled()
        (issue,) = repository.issues
        (comment,) = repository.comments
        for words in ("Press the button", "Firefox 140", "orders", "click", "reporterpaper", "refused"):
            assert words in issue["body"], words
        assert "three pens" not in issue["body"]
        assert "We are looking @\u2060you" in comment["body"]
        assert "bosspaper" in comment["body"]
        await tenant.connect(repo="paper/public", comments_out=True)
        public = await tenant.report(
            "It hangs", description=f"with Bearer {CAPTURED_SECRET}", **{**capture, "category": "other"}
        )
        await tenant.settled()
        assert (await tenant.shown(public))["github_sync_status"] == "failed"
        assert github.repositories["paper/public"].issues == []
        assert "public" in (await tenant.shown(public))["github_sync_error"]
        assert (await tenant.shown(public, person=tenant.reporter))["github_sync_error"] is None
        await tenant.connect(repo="paper/public", comments_out=True, allow_public=True)
        await tenant.settled()
        await tenant.done("POST", f"/api/v1/tickets/{public['id']}/comments", {"content": "Thank you"})
        await tenant.settled()
    shown, answer = (
        github.repositories["paper/public"].issues[0],
        github.repositories["paper/public"].comments[0],
    )
    assert "Press the button" in shown["body"]
    for words in ("refused", "orders", "click", "reporterpaper", "three pens"):
        assert words not in shown["body"], words
    assert "bosspaper" not in answer["body"]
    everything = repr(list(github.repositories.values()))
    assert CANARY not in everything
    assert CAPTURED_SECRET not in everything
    assert "hunter2" not in everything
    assert len(repository.issues) == 1  # nothing went to the former repository any more


def a_lie(**changes: Any) -> bytes:
    """An issue that is none, as the answer to a creation."""
    true = {"id": 1, "number": 1, "html_url": "https://github.example/1", "state": "open"}
    return json.dumps({**true, "updated_at": "2026-01-15T10:30:00Z", **changes}).encode()


@pytest.mark.parametrize(
    "plan",
    [
        {"status": 502, "applied": True},
        {"status": 201, "applied": True, "body": b"<"},
        {"status": 201, "applied": True, "body": a_lie(html_url="javascript:alert(1)")},
        {"status": 201, "applied": True, "body": a_lie(state="ajar", html_url="https://x.example/\0")},
        {"status": 201, "applied": True, "body": a_lie(updated_at="2026-01-15T10:30:00")},
    ],
)
async def test_an_issue_is_not_created_again_after_a_lost_response(
    tenant: Tenant,
    working: Working,
    github: FakeGitHub,
    repository: Repository,
    sql: Sql,
    plan: dict[str, Any],
) -> None:
    github.page = 2
    others = [github.open_issue(repository, login=LOGIN) for _ in range(5)]
    github.open_issue(repository, login=LOGIN, pull_request={"url": "https://github.example/pulls/1"})
    await tenant.connect()
    github.plan(ISSUES, **plan)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        assert (await tenant.shown(ticket))["github_sync_status"] == "pending"
        a_minute_later(sql)
        await tenant.settled()
    assert github.marks() == [ticket["id"]]
    assert len(repository.issues) == len(others) + 2
    assert (await tenant.shown(ticket))["github_issue_number"] == len(others) + 2
    assert github.count("GET /repos/paper/reports/issues") == 4  # pages of two, to the last


async def test_an_issue_that_was_not_created_is_retried_after_a_minute_and_no_sooner(
    tenant: Tenant, working: Working, github: FakeGitHub, repository: Repository, sql: Sql
) -> None:
    await tenant.connect()
    github.plan(ISSUES, status=500)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        sql.execute("UPDATE github_pushes SET next_at = now()")
        await tenant.settled()
        assert (github.count(ISSUES), repository.issues) == (1, [])
        a_minute_later(sql)
        await tenant.settled()
    assert github.count(ISSUES) == 2
    assert github.marks() == [ticket["id"]]


async def test_a_comment_and_a_state_are_not_sent_twice_after_lost_responses(
    tenant: Tenant, working: Working, github: FakeGitHub, repository: Repository, sql: Sql
) -> None:
    await tenant.connect(comments_out=True)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        github.plan(f"{ISSUES}/1/comments", status=504, applied=True)
        await tenant.done("POST", f"/api/v1/tickets/{ticket['id']}/comments", {"content": "Hello"})
        await tenant.settled()
        a_minute_later(sql)
        await tenant.settled()
        assert len(repository.comments) == 1
        github.plan("PATCH /repos/paper/reports/issues/1", status=500, applied=True)
        await tenant.move(ticket, "resolved")
        await tenant.settled()
        # What GitHub tells of it is an echo, also when the ticket has moved on meanwhile, and while it is told so.
        (issue,) = repository.issues
        echo = github.delivery("issues-closed", issue, secret=tenant.secret)
        github.plan("PATCH /repos/paper/reports/issues/1", held="before")
        await tenant.move(ticket, "in_progress")
        await eventually(lambda: github.held == 1, seconds=SECONDS)
        await tenant.post_delivery(*echo)
        await tenant.run_jobs()
        assert (await tenant.ticket(ticket["id"]))["status"] == "in_progress"
        github.release()
        await tenant.settled()
        assert issue["state"] == "open"
        assert (await tenant.ticket(ticket["id"]))["status"] == "in_progress"


async def test_two_workers_create_one_issue_each_and_make_one_call_at_a_time(
    tenant: Tenant, working: Working, github: FakeGitHub
) -> None:
    await tenant.connect()
    tickets = [await tenant.report(f"Number {number}") for number in range(6)]
    async with working(), working(), working():
        await tenant.settled()
    assert sorted(github.marks()) == sorted(ticket["id"] for ticket in tickets)
    assert github.most_at_once == 1


async def test_renaming_reconnecting_and_another_token_push_nothing_twice(
    tenant: Tenant, working: Working, github: FakeGitHub, repository: Repository
) -> None:
    await tenant.connect()
    first = await tenant.report("First")
    async with working():
        await tenant.settled()
        # Connected anew, with the token of another account: the issue is still this one.
        await tenant.done("DELETE", tenant.path)
        assert (await tenant.shown(first))["github_sync_status"] is None
        github.logins["ghp_of-another"] = "another-bot"
        await tenant.connect(token="ghp_of-another")
        await tenant.done("POST", f"/api/support/report/{first['key']}/github-sync")
        await tenant.settled()
        assert (await tenant.shown(first))["github_issue_number"] == 1
        await tenant.move(first, "resolved")
        await tenant.settled()
        assert repository.issues[0]["state"] == "closed"
        # Renamed: nothing is sent until somebody says where to.
        del github.repositories["paper/reports"]
        repository.full_name = "paper/renamed"
        github.repositories["paper/renamed"] = repository
        github.moved["paper/reports"] = repository.id
        tenant.sql.execute("UPDATE github_connections SET checked_at = checked_at - interval '1 hour'")
        second = await tenant.report("Second")
        await tenant.settled()
        assert "renamed or moved" in (await tenant.shown(second))["github_sync_error"]
        await tenant.connect(repo="paper/renamed", token=TOKEN)
        await tenant.settled()
        assert github.marks("paper/renamed") == [first["id"], second["id"]]
        # Another repository: only what is new has issues there.
        other = github.add("paper/other")
        await tenant.connect(repo="paper/other")
        await tenant.move(first, "in_progress")
        third = await tenant.report("Third")
        await tenant.settled()
        assert github.marks("paper/other") == [third["id"]]
        assert len(repository.issues) == 2
        assert repository.issues[0]["state"] == "closed"
        # And its name taken over by one that is not it.
        del github.repositories["paper/other"]
        imposter = github.add("paper/other")
        tenant.sql.execute("UPDATE github_connections SET checked_at = checked_at - interval '1 hour'")
        fourth = await tenant.report("Fourth")
        await tenant.settled()
        assert "Another repository" in (await tenant.shown(fourth))["github_sync_error"]
        assert (imposter.issues, len(other.issues)) == ([], 1)


async def test_two_companies_with_one_token_and_one_repository_share_limits_and_nothing_else(
    tenant: Tenant, new_tenant: NewTenant, working: Working, github: FakeGitHub, repository: Repository
) -> None:
    ink: Tenant = await new_tenant("ink")
    await tenant.connect()
    await ink.connect()
    tickets = [await tenant.report(), await ink.report()]
    assert tickets[0]["key"] == tickets[1]["key"]
    async with working(), working():
        await tenant.settled()
        assert sorted(github.marks()) == sorted(ticket["id"] for ticket in tickets)
        assert github.most_at_once == 1
        # What GitHub tells one of them of the other's issue is nothing to it.
        theirs = next(issue for issue in repository.issues if tickets[1]["id"] in issue["body"])
        await tenant.deliver("issues-closed", github.close(theirs))
        statuses = [
            (await one.ticket(t["id"]))["status"] for one, t in zip((tenant, ink), tickets, strict=True)
        ]
        assert statuses == ["new", "new"]
        await ink.deliver("issues-closed", theirs)
        assert (await ink.ticket(tickets[1]["id"]))["status"] == "resolved"
    for one, other in ((tenant, ink), (ink, tenant)):
        response = await one.client.get(other.path, headers=one.boss.headers)
        assert response.status_code == 403


async def test_a_company_that_is_not_connected_or_switched_off_sends_nothing(
    tenant: Tenant, working: Working, github: FakeGitHub
) -> None:
    before = await tenant.report("Before")
    async with working():
        refused = await tenant.call("POST", f"/api/support/report/{before['key']}/github-sync")
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "GITHUB_NOT_CONNECTED"
        await tenant.connect(enabled=False)
        off = await tenant.report("Off")
        await tenant.settled()
        refused = await tenant.call("POST", f"/api/support/report/{off['key']}/github-sync")
        assert refused.json()["error"]["code"] == "GITHUB_SWITCHED_OFF"
        assert (await tenant.shown(off))["github_sync_status"] is None
        await tenant.connect()
        await tenant.move(off, "in_progress")
        task = await tenant.done("POST", "/api/v1/tickets", {"title": "Of another scheme"})
        await tenant.settled()
        assert github.requests == []
        assert task["ticket"]["key"].startswith("TSK")
        await tenant.done("POST", f"/api/support/report/{before['key']}/github-sync")
        await tenant.settled()
        assert github.marks() == [before["id"]]


async def test_the_operators_repository_is_used_only_where_an_admin_chooses_it(
    start_app: StartApp,
    tenant: Tenant,
    new_tenant: NewTenant,
    working: Working,
    github: FakeGitHub,
    settings: Settings,
) -> None:
    refused = await tenant.call("PUT", tenant.path, {"use_default": True})
    assert refused.status_code == 400
    fields: dict[str, Any] = {
        "github_enabled": True,
        "github_token": TOKEN,
        "github_repo": "paper/reports",
        "github_labels": ("from-the-operator",),
    }
    ink: Tenant = await new_tenant("ink")
    async with start_app(**fields) as client:
        tenant.client = ink.client = client
        shown = (await tenant.done("PUT", tenant.path, {"use_default": True}))["github"]
        assert (shown["repo"], shown["token"], shown["use_default"]) == ("paper/reports", None, True)
        tested = (await tenant.done("POST", f"{tenant.path}/test"))["test"]
        assert tested["ok"] is True
        ticket, theirs = await tenant.report(), await ink.report()
        async with working(build(replace(settings, **fields))):
            await tenant.settled()
            assert (await tenant.shown(ticket))["github_sync_status"] == "synced"
            assert (await ink.shown(theirs))["github_sync_status"] is None
    assert github.marks() == [ticket["id"]]
    labels = [label["name"] for label in github.repositories["paper/reports"].issues[0]["labels"]]
    assert labels[-1] == "from-the-operator"
    assert TOKEN not in repr(tenant.sql.execute("SELECT c::text FROM github_connections c").fetchall())


async def test_a_report_is_answered_while_github_hangs(
    tenant: Tenant, working: Working, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_client, "CALL_SECONDS", 60.0)
    await tenant.connect()
    github.plan("GET /repos/paper/reports", held="before")
    first = await tenant.report("First")
    async with working():
        await eventually(lambda: github.held == 1, seconds=60)
        asked = len(github.requests)
        second = await tenant.report("Second")
        assert len(github.requests) == asked  # nothing is asked for an answer
        assert (await tenant.shown(second))["github_sync_status"] == "pending"
        github.release()
        await tenant.settled()
    assert sorted(github.marks()) == sorted([first["id"], second["id"]])


async def test_a_timeout_is_retried(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_client, "CALL_SECONDS", 0.2)
    await tenant.connect()
    plan = github.plan(REPOSITORY, held="before")
    ticket = await tenant.report()
    attempts = "SELECT count(*) FROM github_pushes WHERE attempts > 0"
    async with working():
        await eventually(lambda: sql.execute(attempts).fetchone() == (1,), seconds=SECONDS)
        assert github.marks() == []
        monkeypatch.setattr(github_client, "CALL_SECONDS", 60.0)
        # On a busy machine, the time may have passed before the request had come: the next one is not held for that.
        github.release()
        if plan in github.plans:
            github.plans.remove(plan)
        a_minute_later(sql)
        await tenant.settled()
    assert github.marks() == [ticket["id"]]


async def test_what_got_no_connection_was_not_asked_for_and_waits_for_no_minute(
    tenant: Tenant, working: Working, github: FakeGitHub, settings: Settings, sql: Sql
) -> None:
    await tenant.connect()
    async with FaultProxy(("127.0.0.1", urlsplit(github.url).port or 0)) as proxy:
        through = replace(settings, github_api_url=f"http://127.0.0.1:{proxy.port}")
        async with working(build(through)):
            tickets = [await tenant.report("First")]
            await tenant.settled()
            proxy.refuse()
            tickets.append(await tenant.report("Second"))
            attempts = "SELECT count(*) FROM github_pushes WHERE attempts > 0"
            await eventually(lambda: sql.execute(attempts).fetchone() == (1,), seconds=SECONDS)
            await proxy.listen()
            sql.execute("UPDATE github_pushes SET next_at = now()")
            await tenant.settled()
    assert github.marks() == [ticket["id"] for ticket in tickets]


async def test_an_endless_response_is_cut_off(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_client, "MAX_RESPONSE_BYTES", 1000)
    await tenant.connect()
    github.plan("GET /repos/paper/reports", status=200, body=b"[" + b" " * 2000)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        assert (await tenant.shown(ticket))["github_sync_status"] == "pending"
        monkeypatch.setattr(github_client, "MAX_RESPONSE_BYTES", 100_000)
        a_minute_later(sql)
        await tenant.settled()
    assert github.marks() == [ticket["id"]]


async def test_the_token_is_never_shown_or_logged(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql, job_log: Any, client: httpx.AsyncClient
) -> None:
    await tenant.connect()
    shown = await tenant.done("GET", tenant.path)
    assert shown["github"]["token"] == "…abcd"
    github.plan("GET /repos/paper/reports", status=500, body=f'{{"message": "{TOKEN}"}}'.encode())
    github.plan("GET /user", status=422, body=f'{{"message": "{TOKEN}"}}'.encode())
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        a_minute_later(sql)
        await tenant.settled()
    answers = [shown, await tenant.shown(ticket), (await tenant.call("POST", f"{tenant.path}/test")).json()]
    tables = [name for (name,) in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    rows = {name: sql.execute(f"SELECT t::text FROM {name} AS t").fetchall() for name in tables}  # type: ignore[arg-type]
    for secret in (TOKEN, tenant.secret):
        assert secret not in repr(rows)
        assert secret not in repr(list(job_log))
        assert secret not in repr(answers)
    assert TOKEN.encode().hex() not in repr(rows)


async def test_a_copied_row_cannot_be_decrypted(
    tenant: Tenant, new_tenant: NewTenant, working: Working, github: FakeGitHub, sql: Sql
) -> None:
    await tenant.connect()
    ink: Tenant = await new_tenant("ink")
    github.logins["ghp_of-ink"] = "ink-bot"
    await ink.connect(token="ghp_of-ink")
    copied = (
        "UPDATE github_connections SET (token, token_key, secret) = (SELECT token, token_key, secret FROM"
    )
    sql.execute(f"{copied} github_connections WHERE company_id = %s)", (tenant.company_id,))
    assert (await ink.done("GET", ink.path))["github"]["token"] is None
    # Moved as a whole, it is the other company's, and that is encrypted with it.
    sql.execute("DELETE FROM github_connections WHERE company_id = %s", (ink.company_id,))
    sql.execute("UPDATE github_connections SET company_id = %s", (ink.company_id,))
    ticket = await ink.report()
    async with working():
        await ink.settled()
    assert "cannot be decrypted" in (await ink.shown(ticket))["github_sync_error"]
    assert github.requests == []
