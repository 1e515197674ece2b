"""Tickets become issues, once, as they are described; what is done closes, what is reopened opens."""

from __future__ import annotations

from tests.domain.github.conftest import Tenant, Working
from tests.domain.github.fake_github import LOGIN, FakeGitHub, Repository


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
        await tenant.move(ticket, "closed")
        await tenant.settled()
        assert (issue["state"], issue["state_reason"]) == ("closed", "not_planned")
        await tenant.move(ticket, "in_progress")
        await tenant.settled()
        assert (issue["state"], issue["state_reason"]) == ("open", "reopened")
        await tenant.move(ticket, "resolved")
        await tenant.settled()
        assert (issue["state"], issue["state_reason"]) == ("closed", "completed")
    assert github.most_at_once == 1
    assert len(repository.issues) == 1
