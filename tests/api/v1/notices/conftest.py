"""A worker that notifies followers, and users who can be notified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.events.consumers import start_consumers
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from bugrelay.worker import all_consumers, follow_events
from tests.factories import Person, register
from tests.infra.mail.postbox import comes_true, working

Sql = psycopg.Connection[Any]
Settled = Callable[[], Awaitable[None]]
ME = "/api/v1/users/me"


@asynccontextmanager
async def whole_worker(settings: Settings, **changes: Any) -> AsyncIterator[Platform]:
    """A whole worker in this process: its jobs, and the consumers of the event log."""
    async with working(settings, **changes) as platform:
        consumers = all_consumers(platform)
        async with platform.work() as work:
            await start_consumers(work, [consumer.name for consumer in consumers])
        following = asyncio.create_task(follow_events(platform, consumers))
        try:
            yield platform
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
async def worker(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    async with whole_worker(settings) as platform:
        yield platform


async def all_notified(sql: Sql) -> None:
    """Wait until followers are notified of everything that has happened, and mails that are due are sent."""
    await comes_true(lambda: _is_settled(sql), seconds=60)


def _is_settled(sql: Sql) -> bool:
    row = sql.execute(
        "SELECT NOT EXISTS ("
        "   SELECT FROM event_streams s LEFT JOIN event_cursors c ON c.stream = s.stream AND c.consumer = 'notices'"
        "   WHERE s.last_seq > coalesce(c.seq, 0)"
        ") AND NOT EXISTS (SELECT FROM notice_fan_outs WHERE finished_at IS NULL)"
        " AND NOT EXISTS (SELECT FROM notice_mails WHERE closed_at IS NULL AND sealed_at IS NOT NULL)"
    ).fetchone()
    return bool(row and row[0])


@pytest.fixture
def settled(sql: Sql) -> Settled:
    return lambda: all_notified(sql)


async def reachable(client: httpx.AsyncClient, sql: Sql, username: str) -> Person:
    """A new user with a verified address."""
    person = await register(client, username)
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (person.id,))
    return person


async def notices_of(client: httpx.AsyncClient, person: Person, **params: Any) -> dict[str, Any]:
    response = await client.get(f"{ME}/notices", params=params, headers=person.headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def notice_types(client: httpx.AsyncClient, person: Person) -> list[str]:
    """The types of the person's notices, oldest first."""
    return [one["event"]["type"] for one in reversed((await notices_of(client, person))["notices"])]


async def commented(client: httpx.AsyncClient, person: Person, bug_id: str, content: str = "Me too") -> str:
    response = await client.post(
        f"/api/v1/bugs/{bug_id}/comments", json={"content": content}, headers=person.headers
    )
    assert response.status_code == 201, response.text
    return str(response.json()["comment"]["id"])


async def responded(client: httpx.AsyncClient, person: Person, bug_id: str, content: str) -> None:
    response = await client.post(
        f"/api/v1/bugs/{bug_id}/company-response", json={"content": content}, headers=person.headers
    )
    assert response.status_code == 201, response.text


async def status_set(client: httpx.AsyncClient, person: Person, bug_id: str, status: str) -> None:
    response = await client.patch(
        f"/api/v1/bugs/{bug_id}/status", json={"status": status}, headers=person.headers
    )
    assert response.status_code == 200, response.text
