"""The board that `bugrelay demo` makes: alive, and nothing on it is untrue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.app import create_app
from bugrelay.demo import Summary, fill
from bugrelay.demo.story import read_story
from bugrelay.domain.tickets.schemes import known_statuses
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from bugrelay.settings import load_settings
from tests.conftest import TEST_ENVIRONMENT, Servers, empty


@dataclass(frozen=True)
class Demo:
    client: httpx.AsyncClient
    platform: Platform
    filled: Summary


@pytest.fixture(scope="module")
async def demo(
    servers: Servers, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Demo]:
    """The demo's board, filled once for the tests that only look at it."""
    urls = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url}
    settings = load_settings(
        {**TEST_ENVIRONMENT, **urls, "BUGRELAY_HOME": str(tmp_path_factory.mktemp("demo"))}
    )
    with psycopg.connect(database_url, autocommit=True) as sql:
        empty(sql)
    app = create_app(settings)
    platform: Platform = app.state.platform
    await platform.start()
    filled = await fill(platform)
    assert filled is not None
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://board.example") as client:
        yield Demo(client, platform, filled)
    await platform.close()


async def _bugs(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    response = await client.get("/api/v1/bugs", params={"limit": 100, **query})
    assert response.status_code == 200
    bugs: list[dict[str, Any]] = response.json()["bugs"]
    return bugs


async def test_the_board_looks_alive(demo: Demo) -> None:
    bugs = await _bugs(demo.client)
    now = datetime.now(UTC)
    ages = [now - datetime.fromisoformat(bug["created_at"]) for bug in bugs]
    assert 60 <= len(bugs) <= 100
    assert timedelta(0) < min(ages) < timedelta(days=4)
    assert timedelta(days=60) < max(ages) < timedelta(days=90)
    assert {bug["status"] for bug in bugs} == {"open", "reviewing", "fixed", "wont_fix"}
    assert {bug["priority"] for bug in bugs} == {"low", "medium", "high", "critical"}
    assert len({bug["application"]["id"] for bug in bugs}) >= 12
    assert sum(bug["reporter"] is None for bug in bugs) >= 5
    votes = sorted((bug["vote_count"] for bug in bugs), reverse=True)
    assert votes[0] > 20
    assert sum(votes[: len(votes) // 5]) > sum(votes) * 0.4, "few bugs have most of the votes"


async def test_what_rises_now_trends_above_what_was_popular_once(demo: Demo) -> None:
    popular = [bug["title"] for bug in await _bugs(demo.client, sort="popular")]
    trending = [bug["title"] for bug in await _bugs(demo.client, sort="trending")]
    old = "Transfer amount: decimal comma is read as a thousands separator"
    new = "Rain radar uses 900 MB of mobile data in a day"
    assert popular.index(old) < popular.index(new)
    assert trending.index(new) < trending.index(old)


async def test_companies_answer_and_change_the_status(demo: Demo) -> None:
    (bug,) = await _bugs(demo.client, search='"notes edited offline"')
    assert (bug["status"], bug["vote_count"], bug["assigned_company"]["name"]) == ("fixed", 24, "Papertrail")
    detail = (await demo.client.get(f"/api/v1/bugs/{bug['id']}")).json()["bug"]
    times = [comment["created_at"] for comment in detail["comments"]]
    assert times == sorted(times)
    assert bug["created_at"] < times[0] < times[-1]
    assert [comment["is_company_response"] for comment in detail["comments"]].count(True) == 3
    history = (await demo.client.get(f"/api/v1/bugs/{bug['id']}/history")).json()["history"]
    assert [entry["to_status"] for entry in history] == ["reviewing", "fixed"]
    assert history[-1]["at"] == bug["resolved_at"] == bug["updated_at"]


@pytest.mark.parametrize(
    ("search", "title"),
    [("地下鉄", "地下鉄の駅で現在地が数百メートルずれる"), ("登录失败", "登录失败:验证码图片无法加载")],
)
async def test_scripts_without_spaces_are_found(demo: Demo, search: str, title: str) -> None:
    assert title in [bug["title"] for bug in await _bugs(demo.client, search=search)]


async def test_its_accounts_sign_in_with_the_password_that_was_made(demo: Demo) -> None:
    admins = []
    for email in (demo.filled.user_email, demo.filled.member_email, demo.filled.admin_email):
        body = {"email": email, "password": demo.filled.password}
        response = await demo.client.post("/api/v1/auth/login", json=body)
        assert response.status_code == 200, email
        admins.append(response.json()["user"]["is_admin"])
    assert admins == [False, False, True]


async def test_nothing_on_the_board_is_untrue(demo: Demo) -> None:
    assert [problem async for problem in problems(demo.platform)] == []


async def test_what_it_says_of_itself_is_true(demo: Demo) -> None:
    bugs = await _bugs(demo.client)
    assert demo.filled.bugs == len(bugs)
    assert demo.filled.votes == sum(bug["vote_count"] for bug in bugs)
    assert demo.filled.comments == sum(bug["comment_count"] for bug in bugs)


def test_everybody_in_the_story_exists_and_acts_in_time() -> None:
    story = read_story()
    people = set(story.addresses)
    for application in story.applications:
        for bug in application.bugs:
            assert bug.reporter in {None, *people}, bug.title
            assert bug.votes <= len(story.users), bug.title
            for entry in bug.timeline:
                assert entry.by in people, bug.title
                assert 0 < entry.after < bug.days_ago < 90, bug.title


async def test_a_company_is_at_work(demo: Demo) -> None:
    """Its tickets are in all states; their history of a month has the times of the story."""
    now = datetime.now(UTC)
    boss, reporter = [
        await _signed_in(demo, email) for email in (demo.filled.member_email, demo.filled.reporter_email)
    ]
    tickets = await _tickets(demo, boss)
    assert demo.filled.tickets == len(tickets)
    assert {ticket["status"] for ticket in tickets} == set(known_statuses())
    assert [ticket["key"] for ticket in tickets] == [
        ticket["key"] for ticket in sorted(tickets, key=lambda ticket: ticket["createdAt"], reverse=True)
    ]
    assert 0 < len(await _tickets(demo, reporter)) < len(tickets)
    (invoices,) = (ticket for ticket in tickets if ticket["title"].startswith("Invoices"))
    path = f"/api/v1/tickets/{invoices['key']}"
    history = (await demo.client.get(f"{path}/history", headers=boss)).json()["history"]
    assert [entry["action"] for entry in history] == [
        *("created", "changed", "status_changed", "commented", "commented", "status_changed")
    ]
    times = [entry["at"] for entry in history]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (invoices["createdAt"], invoices["resolvedAt"])
    assert timedelta(days=28) < now - datetime.fromisoformat(times[0]) < timedelta(days=30)
    assert (await demo.client.get(f"{path}/comments", headers=reporter)).json()["pagination"]["total"] == 1


async def test_the_company_has_files_and_the_figures_of_a_month(demo: Demo) -> None:
    boss = await _signed_in(demo, demo.filled.member_email)
    tickets = await _tickets(demo, boss)
    with_files = [ticket for ticket in tickets if ticket["attachmentCount"]]
    assert len(with_files) >= 2
    for ticket in with_files:
        query = {"ticketId": ticket["id"]}
        listed = (await demo.client.get("/api/v1/attachments", params=query, headers=boss)).json()
        (file,) = listed["attachments"]
        assert ticket["createdAt"] < file["createdAt"] <= ticket["updatedAt"]
        assert len((await demo.client.get(file["downloadUrl"])).content) == file["size"]
    response = await demo.client.get("/api/v1/reports/dashboard", headers=boss)
    dashboard = response.json()["dashboard"]
    last = dashboard["daily"][-1]
    assert len(dashboard["daily"]) == 30
    assert sum(day["createdCount"] for day in dashboard["daily"]) == last["totalIssues"] == len(tickets)
    assert last["doneIssues"] == dashboard["totals"]["done"]


async def test_a_support_report_has_a_capture_without_its_secrets(demo: Demo) -> None:
    boss = await _signed_in(demo, demo.filled.member_email)
    (ticket,) = (one for one in await _tickets(demo, boss) if one["title"].startswith("The page stays white"))
    response = await demo.client.get(f"/api/support/report/{ticket['key']}", headers=boss)
    report = response.json()["report"]
    assert report["console_errors"][0]["line"] == 214
    assert "taken" not in response.text
    assert {one["kind"] for one in report["redactions"]} == {"token", "auth", "session"}
    rules = (await demo.client.get("/api/v1/workflows", headers=boss)).json()["workflows"]
    assert [rule["trigger"] for rule in rules] == ["ticket.created"]


async def _signed_in(demo: Demo, email: str) -> dict[str, str]:
    body = {"email": email, "password": demo.filled.password}
    response = await demo.client.post("/api/v1/auth/login", json=body)
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


async def _tickets(demo: Demo, headers: dict[str, str]) -> list[dict[str, Any]]:
    response = await demo.client.get("/api/v1/tickets", params={"limit": 100}, headers=headers)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["tickets"]
    return found
