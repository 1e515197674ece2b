"""A company with webhooks, a receiver that they reach, and workers that deliver when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import msgspec
import psycopg
import pytest
from sqlalchemy import text

from bugrelay.bootstrap import build
from bugrelay.domain.events.consumers import start_consumers
from bugrelay.domain.events.schemas import LogEntry
from bugrelay.domain.webhooks import dispatcher
from bugrelay.domain.webhooks.tasks import deliver
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from bugrelay.worker import all_consumers, follow_events
from tests.conftest import SignUp
from tests.domain.webhooks.receiver import HOST, Receiver, receiving
from tests.factories import Person, make_member, report
from tests.infra.security.outside import Zone, egress_to, name_service

Sql = psycopg.Connection[Any]


@dataclass
class Outside:
    """A receiver, the name service that knows it, and platforms whose egress guard lets them through."""

    zone: Zone
    receiver: Receiver
    platform: Platform
    resolver_port: int


@pytest.fixture
async def outside(settings: Settings, empty_board: None) -> AsyncIterator[Outside]:
    platform = build(replace(settings, workers=1))
    async with name_service() as (zone, resolver), receiving() as receiver:
        zone.records[HOST, "A"] = ["127.0.0.1"]
        platform = replace(platform, egress=egress_to(resolver))
        await platform.start()
        yield Outside(zone, receiver, platform, resolver.port)
        await platform.close()


@pytest.fixture
def receiver(outside: Outside) -> Receiver:
    return outside.receiver


Delivering = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def delivering(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Delivering:
    """`async with delivering():` runs what a worker runs for webhooks."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.05)

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        stopping = asyncio.Event()
        sending = asyncio.create_task(deliver(outside.platform, stopping))
        following = asyncio.create_task(follow_events(outside.platform, all_consumers(outside.platform)))
        try:
            yield
        finally:
            stopping.set()
            following.cancel()
            await asyncio.gather(sending, following, return_exceptions=True)

    return run


@pytest.fixture
async def company(client: httpx.AsyncClient, outside: Outside) -> UUID:
    """The company at paper.example; all consumers know where its stream began."""
    async with outside.platform.work() as work:
        await start_consumers(work, [one.name for one in all_consumers(outside.platform)])
    bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
    return UUID(bug["assigned_company_id"])


@pytest.fixture
async def boss(sign_up: SignUp, sql: Sql, company: UUID) -> Person:
    person = await sign_up("boss", email="boss@paper.example")
    make_member(sql, person, str(company), role="admin")
    return person


class Hooks:
    """The webhooks of the company, as its admin calls them."""

    def __init__(self, client: httpx.AsyncClient, company_id: UUID, boss: Person, receiver: Receiver) -> None:
        self._client = client
        self._path = f"/api/v1/companies/{company_id}/webhooks"
        self._headers = boss.headers
        self._receiver = receiver

    async def call(self, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
        response = await self._client.request(method, f"{self._path}{path}", json=body, headers=self._headers)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def add(self, path: str = "/", **changes: Any) -> tuple[str, str]:
        """Its id and its secret."""
        body = {"url": self._receiver.url(path), "events": ["*"], **changes}
        answer = await self.call("POST", body=body)
        return answer["webhook"]["id"], answer["secret"]

    async def deliveries(self, webhook_id: str) -> list[dict[str, Any]]:
        """The newest first."""
        listed: list[dict[str, Any]] = (await self.call("GET", f"/{webhook_id}/deliveries"))["deliveries"]
        return listed

    async def webhook(self, webhook_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.call("GET", f"/{webhook_id}"))["webhook"]
        return shown


@pytest.fixture
def hooks(client: httpx.AsyncClient, company: UUID, boss: Person, receiver: Receiver) -> Hooks:
    return Hooks(client, company, boss, receiver)


async def write_events(platform: Platform, company_id: UUID, *types: str, **changes: Any) -> None:
    """Write events into the company's stream, one of each type, in order."""
    entries: Sequence[LogEntry] = [
        LogEntry(stream=company_id, type=kind, bug_id=new_id(), **{"data": {"status": "open"}, **changes})
        for kind in types
    ]
    because = {"kind": "user", "chain": ()}
    rows = msgspec.json.encode([{**vars(entry), "cause": because} for entry in entries]).decode()
    async with platform.work() as work:
        await work.session.execute(text("SELECT FROM log_events(CAST(:rows AS jsonb))"), {"rows": rows})


def due_now(sql: Sql) -> None:
    """As if the time of every pause and lease had passed."""
    sql.execute(
        "UPDATE webhook_deliveries SET next_at = now(), leased_until = CASE WHEN leased_until IS NULL THEN NULL"
        " ELSE now() END WHERE state = 'pending'"
    )
