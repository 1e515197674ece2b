"""What follows from links, brought about: the consumer of the event log at work until it has read all there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg

from bugrelay.domain.events.consumers import start_consumers
from bugrelay.domain.links.plugin import consumers
from bugrelay.infra.platform import Platform
from tests.api.tickets.conftest import Caller
from tests.domain.events.conftest import following
from tests.infra.redis.server import eventually

Sql = psycopg.Connection[Any]
Settle = Callable[[], Awaitable[None]]

_BEHIND = """
SELECT count(*) FROM event_streams s LEFT JOIN event_cursors c ON c.stream = s.stream AND c.consumer = 'links'
WHERE s.last_seq > coalesce(c.seq, 0)
"""


async def start_links(platform: Platform) -> None:
    async with platform.work() as work:
        await start_consumers(work, ["links"])


async def settle(platform: Platform, sql: Sql) -> None:
    """Let the consumer read to the ends of all streams, what it has caused itself included."""
    async with following(platform, *consumers(platform)):
        await eventually(lambda: behind(sql) == 0, seconds=60)


def behind(sql: Sql) -> int:
    """How many streams it has not read to their ends."""
    found: tuple[int] | None = sql.execute(_BEHIND).fetchone()
    assert found is not None
    return found[0]


async def public(caller: Caller, bug_id: str) -> dict[str, Any]:
    """The bug as anybody reads it, now and not from a cache."""
    answer = await caller.client.get(f"/api/v1/bugs/{bug_id}", headers=caller.person.headers)
    assert answer.status_code == 200, answer.text
    bug: dict[str, Any] = answer.json()["bug"]
    return bug


def notes_of(sql: Sql, ticket_id: str) -> list[str]:
    """The internal comments of nobody, oldest first."""
    rows = sql.execute(
        "SELECT content FROM ticket_comments WHERE ticket_id = %s AND author_id IS NULL AND is_internal ORDER BY id",
        (UUID(ticket_id),),
    )
    return [content for (content,) in rows]
