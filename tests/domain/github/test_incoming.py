"""What is done at GitHub comes back: by signed deliveries in any order, and by the hourly catch-up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bugrelay.domain.github.catching_up import OVERLAP
from tests.domain.github.conftest import Sql, Tenant, Working
from tests.domain.github.fake_github import LOGIN, FakeGitHub, Repository, signature
from tests.infra.redis.server import eventually


@pytest.fixture
async def linked(
    tenant: Tenant, working: Working, repository: Repository
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A ticket and its issue."""
    await tenant.connect()
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
    return ticket, repository.issues[0]


Linked = tuple[dict[str, Any], dict[str, Any]]


async def status(tenant: Tenant, ticket: dict[str, Any]) -> str:
    found: str = (await tenant.ticket(ticket["id"]))["status"]
    return found


async def test_issues_close_and_reopen_tickets_without_echo(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working
) -> None:
    ticket, issue = linked
    asked = len(github.requests)
    async with working():
        for act, kind, wanted in (
            (lambda: github.close(issue), "issues-closed", "resolved"),
            (lambda: github.reopen(issue), "issues-reopened", "in_progress"),
            (lambda: github.close(issue, reason="not_planned"), "issues-closed", "closed"),
        ):
            act()
            assert (await tenant.deliver(kind, issue)).status_code == 202
            assert await status(tenant, ticket) == wanted
            await tenant.settled()
    assert [one for one in github.requests[asked:] if not one.startswith("GET")] == []
    history = (await tenant.done("GET", f"/api/v1/tickets/{ticket['id']}/history"))["history"]
    moved = [entry for entry in history if entry["field"] == "status"]
    assert [(entry["user"], entry["cause"]["kind"]) for entry in moved] == [(None, "github")] * 3


async def test_deliveries_may_arrive_twice_late_and_in_any_order(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working
) -> None:
    ticket, issue = linked
    github.close(issue)
    closed = github.delivery("issues-closed", issue, secret=tenant.secret)
    github.reopen(issue)
    reopened = github.delivery("issues-reopened", issue, secret=tenant.secret)
    for headers, body in (reopened, closed, closed, reopened):
        assert (await tenant.post_delivery(headers, body)).status_code == 202
    assert (await tenant.run_jobs()).count("github.take_delivery") == 2
    assert await status(tenant, ticket) == "new"
    # A delivery that was done is not done again, whatever it says now.
    github.close(issue)
    await tenant.deliver("issues-closed", issue, delivery_id=reopened[0]["X-GitHub-Delivery"])
    assert await status(tenant, ticket) == "new"
    # And an echo of what we did, told after the ticket has moved on, is none of GitHub's doing.
    await tenant.deliver("issues-closed", issue)
    assert await status(tenant, ticket) == "resolved"
    async with working():
        await tenant.move(ticket, "in_progress")
        await tenant.settled()
        assert issue["state"] == "open"
        echo = github.delivery("issues-reopened", issue, secret=tenant.secret)
        await tenant.move(ticket, "resolved")
        await tenant.post_delivery(*echo)
        await tenant.run_jobs()
        assert await status(tenant, ticket) == "resolved"
        await tenant.settled()
        assert issue["state"] == "closed"


async def test_comments_are_received_once_as_configured(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working, repository: Repository
) -> None:
    ticket, issue = linked
    first = github.comment(issue, login="octocat", body="Can you **reproduce** it?\x00")
    assert (await tenant.deliver("issue-comment-created", issue, comment=first)).status_code == 202
    await tenant.deliver("issue-comment-created", issue, comment=first)
    (shown,) = await tenant.comments(ticket)
    assert (shown["author"], shown["authorName"]) == (None, "octocat on GitHub")
    assert shown["isInternal"] is True
    assert shown["content"] == "Can you **reproduce** it?"
    assert (await tenant.call("GET", _comments(ticket), person=tenant.reporter)).json()["comments"] == []
    await tenant.connect(comments_in="public", comments_out=True)
    second = github.comment(issue, login="octocat", body="x" * 20_000)
    await tenant.deliver("issue-comment-created", issue, comment=second)
    answer = await tenant.done("GET", f"/api/support/report/{ticket['key']}/comments", person=tenant.reporter)
    assert [one["user_name"] for one in answer["comments"]] == ["octocat on GitHub"]
    assert [len(one["comment"]) for one in answer["comments"]] == [10_000]
    # Ours goes out, and comes back as an echo, also from somebody whose token it is.
    async with working():
        await tenant.done("POST", _comments(ticket), {"content": "Yes"})
        await tenant.settled()
        ours = repository.comments[-1]
        assert len(repository.comments) == 3  # theirs were not sent back
        await tenant.deliver("issue-comment-created", issue, comment=ours)
        assert len(await tenant.comments(ticket)) == 3
        # Who copies the mark, or has the token, is heard all the same.
        copied = github.comment(issue, login="octocat", body=f"> quoted\n\nNo.\n\n{ours['body']}")
        await tenant.deliver("issue-comment-created", issue, comment=copied)
        by_hand = github.comment(issue, login=LOGIN, body="By hand")
        await tenant.deliver("issue-comment-created", issue, comment=by_hand)
        assert len(await tenant.comments(ticket)) == 5
        await tenant.settled()
        assert len(repository.comments) == 5
        await tenant.connect(comments_in="off")
        ignored = github.comment(issue, login="octocat", body="Anybody?")
        await tenant.deliver("issue-comment-created", issue, comment=ignored)
        assert len(await tenant.comments(ticket)) == 5


def _comments(ticket: dict[str, Any]) -> str:
    return f"/api/v1/tickets/{ticket['id']}/comments"


@pytest.mark.parametrize("kind", ["issues-deleted", "issues-transferred"])
async def test_a_deleted_issue_ends_the_link_and_a_member_can_request_another(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working, repository: Repository, kind: str
) -> None:
    ticket, issue = linked
    delivery = github.delivery(kind, issue, secret=tenant.secret)
    repository.issues.clear()
    await tenant.post_delivery(*delivery)
    await tenant.run_jobs()
    assert (await tenant.shown(ticket))["github_issue_url"] is None
    async with working():
        await tenant.move(ticket, "in_progress")
        await tenant.settled()
        assert repository.issues == []
        await tenant.done("POST", f"/api/support/report/{ticket['key']}/github-sync")
        await tenant.settled()
    assert github.marks() == [ticket["id"]]
    types = tenant.sql.execute(
        "SELECT data ->> 'outcome' FROM events WHERE type = 'ticket.synced' ORDER BY seq"
    )
    assert [outcome for (outcome,) in types] == ["synced", "ended", "synced"]


async def test_an_unsigned_delivery_is_refused_and_not_stored(
    tenant: Tenant, linked: Linked, github: FakeGitHub, sql: Sql
) -> None:
    ticket, issue = linked
    github.close(issue)
    headers, body = github.delivery("issues-closed", issue, secret=tenant.secret)
    forged = [
        (headers | {"X-Hub-Signature-256": signature("another secret", body)}, body),
        (headers | {"X-Hub-Signature-256": "sha256="}, body),
        (headers | {"X-Hub-Signature-256": signature(tenant.secret, body)[7:]}, body),
        ({name: value for name, value in headers.items() if name != "X-Hub-Signature-256"}, body),
        (headers, body + b" "),
        (
            headers | {"Content-Type": "text/plain", "X-Hub-Signature-256": "sha256=0"},
            body,
        ),
    ]
    for sent, content in forged:
        answer = await tenant.post_delivery(sent, content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_SIGNATURE")
    nobodys = "/api/v1/integrations/github/00000000-0000-7000-8000-000000000000"
    answer = await tenant.client.post(nobodys, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_SIGNATURE")
    assert sql.execute("SELECT count(*) FROM github_deliveries").fetchone() == (0,)
    assert "github.take_delivery" not in await tenant.run_jobs()
    assert await status(tenant, ticket) == "new"


async def test_signed_but_malformed_deliveries_are_refused_or_ignored_and_never_give_500(
    tenant: Tenant, linked: Linked, github: FakeGitHub, sql: Sql
) -> None:
    _, issue = linked
    headers, _ = github.delivery("issues-closed", issue, secret=tenant.secret)
    told = {"action": "closed", "repository": {"id": 1}}
    bodies: list[tuple[bytes, int]] = [
        (b"{", 400),
        (b"[]", 202),
        (b'{"action": "closed"}', 400),
        (json.dumps({"action": "labeled", "issue": issue}).encode(), 202),
        (json.dumps({"action": "closed", "repository": {"id": 10**30}, "issue": issue}).encode(), 400),
        (json.dumps({**told, "issue": {**issue, "updated_at": "2026-01-15T10:30:00"}}).encode(), 400),
        (b"[" * 100_000, 400),
        (b'"' + b"x" * 2**20 + b'"', 413),
    ]
    for body, wanted in bodies:
        signed = headers | {"X-Hub-Signature-256": signature(tenant.secret, body)}
        assert (await tenant.post_delivery(signed, body)).status_code == wanted, body[:60]
    elsewhere = {
        "action": "closed",
        "repository": {"id": 1},
        "issue": {**issue, "state": "closed", "updated_at": github.tick()},
    }
    body = json.dumps(elsewhere).encode()
    signed = headers | {"X-Hub-Signature-256": signature(tenant.secret, body)}
    assert (await tenant.post_delivery(signed, body)).status_code == 202
    for missing in ("X-GitHub-Event", "X-GitHub-Delivery"):
        less = {name: value for name, value in signed.items() if name != missing}
        assert (await tenant.post_delivery(less, body)).status_code == 400
    assert (await tenant.post_delivery(signed | {"Content-Type": "text/plain"}, body)).status_code == 415
    await tenant.run_jobs()
    assert sql.execute("SELECT count(*) FROM tickets WHERE status <> 'new'").fetchone() == (0,)


async def test_the_catch_up_reads_lost_changes_page_by_page(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working, repository: Repository, sql: Sql
) -> None:
    ticket, issue = linked
    github.page = 2
    for number in range(3):
        stranger = github.open_issue(repository, login="octocat")
        github.comment(stranger, login="octocat", body=f"Number {number} is nobody's business")
    github.comment(issue, login="octocat", body="It is the cable")
    github.close(issue)
    async with working():
        _an_hour_later(sql)
        await tenant.settled()
        assert await status(tenant, ticket) == "resolved"
        assert [one["content"] for one in await tenant.comments(ticket)] == ["It is the cable"]
        # The delivery that comes late is no news, and the next hour neither.
        await tenant.deliver("issues-closed", issue)
        await tenant.deliver("issue-comment-created", issue, comment=repository.comments[-1])
        _an_hour_later(sql)
        await tenant.settled()
    assert len(await tenant.comments(ticket)) == 1
    progress = sql.execute("SELECT issues_since >= %s FROM github_connections", (issue["updated_at"],))
    assert progress.fetchone() == (True,)
    assert OVERLAP.total_seconds() > 0


async def test_an_interrupted_catch_up_continues_later(
    tenant: Tenant, linked: Linked, github: FakeGitHub, working: Working, sql: Sql
) -> None:
    ticket, issue = linked
    github.close(issue)
    github.plan("GET /repos/paper/reports/issues", status=429, headers={"Retry-After": "60"})
    github.plan("GET /repos/paper/reports/issues", status=500)
    async with working():
        _an_hour_later(sql)
        await eventually(lambda: len(github.plans) == 1, seconds=60)
        await tenant.settled_or_paused()
        sql.execute("UPDATE github_tokens SET ready_at = now()")
        await tenant.settled()
        assert await status(tenant, ticket) == "new"
        _an_hour_later(sql)
        await tenant.settled()
    assert await status(tenant, ticket) == "resolved"


def _an_hour_later(sql: Sql) -> None:
    sql.execute("UPDATE github_connections SET catch_up_at = now() - interval '1 s'")
