"""What a company's admins do with the connection: set, shown without its secrets, looked at, taken away."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.github.tasks import delete_expired, reencrypt_secrets
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.encryption import Encryption
from tests.conftest import RunJobs
from tests.domain.github.conftest import NewTenant, Sql, Tenant, Working
from tests.domain.github.fake_github import TOKEN, FakeGitHub, Repository


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repo": None}, "repo"),
        ({"repo": "paper"}, "repo"),
        ({"repo": "paper/.."}, "repo"),
        ({"repo": "paper/reports/../../user"}, "repo"),
        ({"repo": "paper/re ports"}, "repo"),
        ({"repo": "https://github.com/paper/reports"}, "repo"),
        ({"token": None}, "token"),
        ({"token": "ghp_with\nnewline"}, "token"),
        ({"token": "ghp_é-and-more"}, "token"),
        ({"token": "short"}, "token"),
        ({"schemes": ["nobodys"]}, "schemes[0]"),
        ({"schemes": []}, "schemes"),
        ({"labels": ["one", "two,three"]}, "labels[1]"),
        ({"labels": ["x" * 51]}, "labels[0]"),
        ({"comments_in": "all"}, "comments_in"),
        ({"use_default": True}, "use_default"),
    ],
)
async def test_invalid_fields_are_refused_by_name(
    tenant: Tenant, changes: dict[str, Any], field: str
) -> None:
    answer = await tenant.call("PUT", tenant.path, {"repo": "paper/reports", "token": TOKEN, **changes})
    assert answer.status_code == 400
    assert field in [one["field"] for one in answer.json()["error"]["fields"]]
    assert TOKEN not in answer.text


async def test_a_connection_is_set_shown_changed_and_removed(
    tenant: Tenant, new_tenant: NewTenant, sql: Sql
) -> None:
    assert (await tenant.call("GET", tenant.path)).json()["error"]["code"] == "GITHUB_NOT_CONNECTED"
    assert (await tenant.call("DELETE", tenant.path)).status_code == 404
    made = await tenant.connect(labels=["a", "a", " b "], schemes=["tickets", "support"])
    assert tenant.secret
    assert (made["labels"], made["schemes"]) == (["a", "b"], ["support", "tickets"])
    assert made["webhook_url"].endswith(f"/api/v1/integrations/github/{made['id']}")
    assert (made["private"], made["login"], made["comments_in"], made["status_out"]) == (
        None,
        None,
        "internal",
        True,
    )
    changed = await tenant.done("PUT", tenant.path, {"repo": "paper/reports", "comments_in": "off"})
    assert changed["webhook_secret"] is None
    assert (changed["github"]["token"], changed["github"]["comments_in"]) == ("…abcd", "off")
    ink: Tenant = await new_tenant("ink")
    for method in ("GET", "PUT", "DELETE"):
        for person in (ink.boss, tenant.reporter):
            body = {"repo": "a/b", "token": TOKEN} if method == "PUT" else None
            assert (await tenant.call(method, tenant.path, body, person=person)).status_code == 403
    await tenant.done("DELETE", tenant.path)
    actions = sql.execute(
        "SELECT action, before, after FROM audit_logs WHERE resource = 'github' ORDER BY created_at"
    )
    rows = actions.fetchall()
    assert [row[0] for row in rows] == ["github_connect", "github_change", "github_disconnect"]
    assert TOKEN not in repr(rows)


async def test_a_connection_test_reports_problems_and_writes_nothing(
    tenant: Tenant, github: FakeGitHub, repository: Repository, sql: Sql
) -> None:
    assert (await tenant.call("POST", f"{tenant.path}/test")).status_code == 404
    await tenant.connect()

    async def said() -> dict[str, Any]:
        found: dict[str, Any] = (await tenant.done("POST", f"{tenant.path}/test"))["test"]
        return found

    expected = {"repository": True, "issues": True, "write": True, "private": True, "login": "paper-bot"}
    assert await said() == {"ok": True, **expected, "error": None}
    repository.private = False
    assert "public" in (await said())["error"]
    repository.has_issues = False
    assert (await said())["issues"] is False
    github.plan("GET /repos/paper/reports", status=301)
    assert "renamed or moved" in (await said())["error"]
    github.plan("GET /user", status=500)
    assert (await said())["error"] == "GitHub did not answer"
    github.logins.clear()
    assert "refuses the token" in (await said())["error"]
    sql.execute("UPDATE github_tokens SET ready_at = now() + interval '1 hour'")
    busy = await tenant.call("POST", f"{tenant.path}/test")
    assert (busy.status_code, "Retry-After" in busy.headers) == (503, True)
    assert all(request.startswith("GET") for request in github.requests)


async def test_secrets_are_reencrypted_and_old_deliveries_deleted(
    tenant: Tenant, working: Working, github: FakeGitHub, platform: Platform, sql: Sql, repository: Repository
) -> None:
    await tenant.connect()
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
    await tenant.deliver("issues-closed", github.close(repository.issues[0]))
    sql.execute("UPDATE github_deliveries SET received_at = received_at - interval '31 days'")
    sql.execute(
        "UPDATE github_tokens SET ready_at = now() - interval '2 days', leased_until = ready_at - interval '2 days'"
    )
    await delete_expired(platform)
    assert sql.execute("SELECT count(*) FROM github_deliveries").fetchone() == (0,)
    assert sql.execute("SELECT count(*) FROM github_tokens").fetchone() == (0,)
    newest = Encryption(["a newer key of thirty-two characters", *platform.settings.secrets_keys])
    object.__setattr__(platform, "encryption", newest)
    await reencrypt_secrets(platform)
    found = sql.execute("SELECT token, secret FROM github_connections").fetchone()
    assert found is not None
    assert all(newest.is_current(sealed) for sealed in found)
    await tenant.move(ticket, "in_progress")
    async with working():
        await tenant.settled()
    assert repository.issues[0]["state"] == "open"


async def test_a_new_team_does_not_inherit_the_connection(
    tenant: Tenant, sql: Sql, platform: Platform, run_jobs: RunJobs
) -> None:
    await tenant.connect()
    async with platform.work() as work:
        work.record(
            CompanyClaimed(
                company_id=UUID(tenant.company_id),
                claim_id=uuid4(),
                method="dns",
                starts_new_team=True,
                actor_id=UUID(tenant.reporter.id),
            )
        )
    assert sql.execute("SELECT count(*) FROM github_connections").fetchone() == (0,)
    await run_jobs()
