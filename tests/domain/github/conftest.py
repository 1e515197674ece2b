"""A company that is connected to a GitHub on loopback, and a worker that calls it while a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.events.consumers import start_consumers
from bugrelay.domain.github import dispatcher
from bugrelay.domain.github.tasks import call
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from bugrelay.worker import all_consumers, follow_events
from tests.conftest import RunJobs, SignUp
from tests.domain.github.fake_github import TOKEN, FakeGitHub, Repository, fake_github
from tests.factories import Person, make_member, report
from tests.infra.redis.server import eventually

Sql = psycopg.Connection[Any]
SECONDS = 60  # for what a busy machine may take

_BUSY = """
SELECT (SELECT count(*) FROM event_streams s LEFT JOIN event_cursors k ON k.stream = s.stream AND k.consumer = 'github'
        WHERE s.last_seq > coalesce(k.seq, 0))
    + (SELECT count(*) FROM github_pushes p JOIN github_connections c ON c.id = p.connection_id AND c.enabled
        WHERE p.state = 'pending' AND p.next_at <= now())
    + (SELECT count(*) FROM github_connections WHERE enabled AND catch_up_at <= now())
    + (SELECT count(*) FROM github_tokens WHERE leased_until > now())
"""


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with fake_github() as fake:
        fake.add()
        yield fake


@pytest.fixture
def repository(github: FakeGitHub) -> Repository:
    return github.repositories["paper/reports"]


@pytest.fixture
def settings(settings: Settings, github: FakeGitHub) -> Settings:
    """All that runs here calls the GitHub on loopback."""
    return replace(settings, github_api_url=github.url)


Working = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def working(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Working:
    """`async with working():` runs what a worker runs for GitHub; writes follow each other at once."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(dispatcher, "BETWEEN_WRITES", timedelta(0))

    async def keep_calling(platform: Platform, stopping: asyncio.Event) -> None:
        """As a worker does: again where a starved database has interrupted it."""
        while not stopping.is_set():
            try:
                await call(platform, stopping)
            except ServiceUnavailable:
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def run(other: Platform | None = None) -> AsyncIterator[None]:
        used, stopping = other or platform, asyncio.Event()
        calling = asyncio.create_task(keep_calling(used, stopping))
        following = asyncio.create_task(follow_events(used, all_consumers(used)))
        try:
            yield
        finally:
            stopping.set()
            following.cancel()
            await asyncio.gather(calling, following, return_exceptions=True)

    return run


@dataclass
class Tenant:
    """A connected company: what its users call, and what GitHub sends it."""

    client: httpx.AsyncClient
    sql: Sql
    github: FakeGitHub
    run_jobs: RunJobs
    company_id: str
    boss: Person
    reporter: Person
    secret: str = ""

    @property
    def path(self) -> str:
        return f"/api/v1/companies/{self.company_id}/github"

    async def call(
        self, method: str, path: str, body: Any = None, *, person: Person | None = None
    ) -> httpx.Response:
        headers = (person or self.boss).headers | {"X-Company-ID": self.company_id}
        return await self.client.request(method, path, json=body, headers=headers)

    async def done(self, method: str, path: str, body: Any = None, *, person: Person | None = None) -> Any:
        response = await self.call(method, path, body, person=person)
        assert response.is_success, response.text
        return response.json()

    async def connect(self, **changes: Any) -> dict[str, Any]:
        answer = await self.done("PUT", self.path, {"repo": "paper/reports", "token": TOKEN, **changes})
        self.secret = answer["webhook_secret"] or self.secret
        connection: dict[str, Any] = answer["github"]
        return connection

    async def report(self, title: str = "It crashed", **fields: Any) -> dict[str, Any]:
        """A support report, as the ticket API shows it."""
        body = {"title": title, "description": "A description", **fields}
        answer = await self.done("POST", "/api/support/report", body, person=self.reporter)
        return await self.ticket(answer["report"]["id"])

    async def ticket(self, ticket_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.done("GET", f"/api/v1/tickets/{ticket_id}"))["ticket"]
        return found

    async def move(self, ticket: dict[str, Any], status: str) -> None:
        await self.done("PATCH", f"/api/v1/tickets/{ticket['id']}/status", {"status": status})

    async def shown(self, ticket: dict[str, Any], *, person: Person | None = None) -> dict[str, Any]:
        """The report with its `github_` keys."""
        path = f"/api/support/report/{ticket['key']}"
        found: dict[str, Any] = (await self.done("GET", path, person=person))["report"]
        return found

    async def comments(self, ticket: dict[str, Any]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self.done("GET", f"/api/v1/tickets/{ticket['id']}/comments"))[
            "comments"
        ]
        return listed

    async def settled(self) -> None:
        """Until nothing is due, and nobody calls."""
        await eventually(lambda: self.sql.execute(_BUSY).fetchone() == (0,), seconds=SECONDS)

    async def settled_or_paused(self) -> None:
        """Until nothing is due, or GitHub wants nobody to call."""
        paused = "SELECT count(*) FROM github_tokens WHERE ready_at > now() + interval '20 s'"
        await eventually(
            lambda: self.sql.execute(paused).fetchone() == (1,) or self.sql.execute(_BUSY).fetchone() == (0,),
            seconds=SECONDS,
        )

    async def deliver(self, kind: str, issue: dict[str, Any], **more: Any) -> httpx.Response:
        """A delivery of the webhook, and what follows from it."""
        headers, body = self.github.delivery(kind, issue, secret=self.secret, **more)
        response = await self.post_delivery(headers, body)
        await self.run_jobs()
        return response

    async def post_delivery(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        row = self.sql.execute(
            "SELECT id FROM github_connections WHERE company_id = %s", (self.company_id,)
        ).fetchone()
        assert row is not None
        return await self.client.post(f"/api/v1/integrations/github/{row[0]}", content=body, headers=headers)


NewTenant = Callable[..., Any]


@pytest.fixture
async def new_tenant(
    client: httpx.AsyncClient,
    sql: Sql,
    github: FakeGitHub,
    run_jobs: RunJobs,
    sign_up: SignUp,
    platform: Platform,
) -> NewTenant:
    """`await new_tenant("paper")` makes a company with an admin and a reporter, connected to nothing."""
    async with platform.work() as work:
        await start_consumers(work, [one.name for one in all_consumers(platform)])

    async def make(name: str) -> Tenant:
        bug = await report(client, application_name=name, application_url=f"https://{name}.example")
        company_id = bug["assigned_company_id"]
        boss = await sign_up(f"boss{name}", email=f"boss@{name}.example")
        reporter = await sign_up(f"reporter{name}", email=f"reporter@{name}.example")
        make_member(sql, boss, company_id, role="admin")
        make_member(sql, reporter, company_id, role="reporter")
        return Tenant(client, sql, github, run_jobs, company_id, boss, reporter)

    return make


@pytest.fixture
async def tenant(new_tenant: NewTenant) -> Tenant:
    made: Tenant = await new_tenant("paper")
    return made
