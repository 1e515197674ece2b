"""What GitHub limits and refuses: pauses stand in the database and cost no attempt, refusals say why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bugrelay.domain.github.service import tokens
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate
from tests.conftest import RunJobs
from tests.domain.github.conftest import Sql, Tenant, Working
from tests.domain.github.fake_github import TOKEN, FakeGitHub, Repository, in_seconds
from tests.domain.github.test_pushing import ISSUES, a_minute_later
from tests.infra.mail.postbox import Postbox

PAUSE = "SELECT extract(epoch FROM ready_at - now()) FROM github_tokens"
REPOSITORY = "GET /repos/paper/reports"


def pause(sql: Sql) -> float:
    row = sql.execute(PAUSE).fetchone()
    assert row is not None
    return float(row[0])


@pytest.mark.parametrize(
    ("status", "headers", "body", "low", "high"),
    [
        (429, {"Retry-After": "120"}, b"{}", 60, 120),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in 900"}, b"{}", 800, 902),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit."}', 30, 60),
        (429, {}, b"{}", 30, 60),
        (403, {"Retry-After": "999999999999"}, b"{}", 3000, 3600),
    ],
)
async def test_a_rate_limit_pauses_the_token_and_is_no_attempt(
    tenant: Tenant,
    working: Working,
    github: FakeGitHub,
    sql: Sql,
    status: int,
    headers: dict[str, str],
    body: bytes,
    low: int,
    high: int,
) -> None:
    await tenant.connect()
    named = {name: in_seconds(900) if value == "in 900" else value for name, value in headers.items()}
    github.plan(ISSUES, status=status, headers=named, body=body)
    ticket = await tenant.report()
    async with working(), working():
        await tenant.settled_or_paused()
        assert low < pause(sql) <= high
        assert sql.execute("SELECT attempts, state FROM github_pushes").fetchone() == (0, "pending")
        assert github.count(ISSUES) == 1
        sql.execute("UPDATE github_tokens SET ready_at = now()")  # as if it were over; refused is not created
        await tenant.settled()
    assert github.marks() == [ticket["id"]]


async def test_limits_without_a_time_back_off_exponentially_until_a_response(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql
) -> None:
    await tenant.connect()
    for _ in range(2):
        github.plan(REPOSITORY, status=429)
    await tenant.report()
    async with working():
        await tenant.settled_or_paused()
        sql.execute("UPDATE github_tokens SET ready_at = now()")
        await tenant.settled_or_paused()
        assert 60 < pause(sql) <= 120
        sql.execute("UPDATE github_tokens SET ready_at = now()")
        await tenant.settled()
        assert sql.execute("SELECT pauses FROM github_tokens").fetchone() == (0,)


async def test_writes_are_counted_over_all_workers(platform: Platform, sql: Sql) -> None:
    """A second lies between two, and no window has more than GITHUB_WRITES."""
    rate = Rate(3, 60)
    lease = tokens.Lease(b"key", platform_id := _an_id(sql), platform_id)
    for number in range(3):
        sql.execute(
            "INSERT INTO github_tokens (key, lease_id, leased_until) VALUES ('key', %s, now() + interval '1 minute')"
            " ON CONFLICT (key) DO UPDATE SET leased_until = excluded.leased_until",
            (lease.lease_id,),
        )
        async with platform.work() as work:
            await tokens.renew(work, lease, writes=True, rate=rate)
        async with platform.work() as work:
            await tokens.release(work, lease, rest=timedelta(seconds=1), answered=True, rate=rate)
        # From the statement that left the token on, however long ago that was.
        row = sql.execute("SELECT extract(epoch FROM ready_at - leased_until) FROM github_tokens").fetchone()
        low, high = (1, 1) if number < 2 else (2, 60)
        assert row is not None
        assert low <= row[0] <= high
        sql.execute("UPDATE github_tokens SET ready_at = now() - interval '1 s'")


def _an_id(sql: Sql) -> Any:
    row = sql.execute("SELECT gen_random_uuid()").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (REPOSITORY, 404, "the token cannot access it"),
        (ISSUES, 403, "lacks the permission"),
        (ISSUES, 410, "deleted"),
        (ISSUES, 422, "invalid"),
        (ISSUES, 301, "renamed or moved"),
    ],
)
async def test_a_refused_push_fails_with_a_sentence_and_is_retried_on_request(
    tenant: Tenant, working: Working, github: FakeGitHub, request_: str, status: int, words: str
) -> None:
    await tenant.connect()
    github.plan(request_, status=status, headers={"Location": "https://evil.example/"})
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        shown = await tenant.shown(ticket)
        assert shown["github_sync_status"] == "failed"
        assert words in shown["github_sync_error"]
        assert (await tenant.done("GET", tenant.path))["github"]["failed"] == 1
        answer = await tenant.call("POST", f"/api/support/report/{ticket['key']}/github-sync")
        assert answer.status_code == 202
        await tenant.settled()
    assert github.marks() == [ticket["id"]]
    assert (await tenant.shown(ticket))["github_sync_status"] == "synced"


@pytest.mark.parametrize("change", [{"has_issues": False}, {"archived": True}])
async def test_a_repository_without_issues_gets_none(
    tenant: Tenant, working: Working, repository: Repository, change: dict[str, bool]
) -> None:
    for name, value in change.items():
        setattr(repository, name, value)
    await tenant.connect()
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
    assert (await tenant.shown(ticket))["github_sync_status"] == "failed"


async def test_a_refused_token_switches_the_connection_off_and_mails_the_admins_once(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql, run_jobs: RunJobs, postbox: Postbox
) -> None:
    await tenant.connect()
    del github.logins[TOKEN]
    first = await tenant.report("First")
    second = await tenant.report("Second")
    async with working(), working():
        await tenant.settled()
        shown = (await tenant.done("GET", tenant.path))["github"]
        assert (shown["enabled"], shown["switched_off_reason"]) == (False, "unauthorized")
        assert "token" in (await tenant.shown(first))["github_sync_error"]
        assert (await tenant.shown(second))["github_sync_status"] == "pending"
        third = await tenant.report("Third")  # waits as well
        await tenant.settled()
        assert (await run_jobs()).count("github.mail_switched_off") == 1
        mails = [mail for mail in postbox.mails() if "GitHub refuses" in mail["Subject"]]
        assert [mail["To"] for mail in mails] == [tenant.boss.email]
        assert github.count("GET") == 1
        github.logins["ghp_a-new-token"] = "paper-bot"
        await tenant.connect(token="ghp_a-new-token")
        await tenant.settled()
    assert sorted(github.marks()) == sorted(one["id"] for one in (first, second, third))
    actions = sql.execute("SELECT action FROM audit_logs WHERE action LIKE 'github%' ORDER BY created_at")
    assert [action for (action,) in actions] == ["github_connect", "github_switch_off", "github_change"]


async def test_a_push_fails_after_a_day_without_a_response(
    tenant: Tenant, working: Working, github: FakeGitHub, sql: Sql
) -> None:
    await tenant.connect()
    for _ in range(2):
        github.plan(REPOSITORY, status=503)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
        assert (await tenant.shown(ticket))["github_sync_status"] == "pending"
        sql.execute("UPDATE github_pushes SET failing_since = failing_since - interval '25 hours'")
        a_minute_later(sql)
        await tenant.settled()
    assert "for a day" in (await tenant.shown(ticket))["github_sync_error"]
