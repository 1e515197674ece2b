"""Several webhooks are locked in the order of their ids, so that two transactions do not deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.webhooks.service import events, removal
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from tests.domain.webhooks.conftest import Outside, Sql
from tests.locks import until_somebody_waits_for_a_lock

Act = Callable[[Platform, UUID], Awaitable[None]]
PUT = """
INSERT INTO webhooks (id, company_id, url, events, secret, replay_next_seq, replay_last_seq)
SELECT ('00000000-0000-4000-8000-00000000000' || i)::uuid, %s, 'https://hooks.example/', '{*}', '', 1, 1
FROM generate_series(3, 1, -1) AS i
"""
FIRST = "SELECT id FROM webhooks ORDER BY id LIMIT 1 FOR UPDATE"
OTHERS = "SELECT id FROM webhooks ORDER BY id OFFSET 1 FOR UPDATE NOWAIT"


async def queue(platform: Platform, company_id: UUID) -> None:
    event = Event(
        company_id, 1, "bug.edited", datetime.now(UTC), None, None, None, None, None, "public", {}, {}
    )
    async with platform.work() as work:
        await events.queue_events(work, [event])


async def remove(platform: Platform, company_id: UUID) -> None:
    async with platform.work() as work:
        await removal.remove_webhooks_of(work.session, {company_id: new_id()}, jobs=platform.jobs)


@pytest.mark.parametrize("act", [queue, remove])
async def test_webhooks_are_locked_in_the_order_of_their_ids(
    act: Act, outside: Outside, company: UUID, sql: Sql, database_url: str
) -> None:
    sql.execute("UPDATE companies SET verified = true")
    sql.execute(PUT, (company,))
    with psycopg.connect(database_url) as holding:
        holding.execute(FIRST)
        acting = asyncio.create_task(act(outside.platform, company))
        await until_somebody_waits_for_a_lock(sql)
        assert len(holding.execute(OTHERS).fetchall()) == 2
    await acting


async def test_a_replay_waits_for_no_webhook_but_its_own(
    outside: Outside, company: UUID, sql: Sql, database_url: str
) -> None:
    sql.execute("UPDATE companies SET verified = true")
    sql.execute(PUT, (company,))
    with psycopg.connect(database_url) as holding:
        (_first,) = holding.execute(FIRST).fetchone() or ()
        last = UUID("00000000-0000-4000-8000-000000000003")
        async with outside.platform.work() as work:
            await events.replay_some(work, last, jobs=outside.platform.jobs)
    assert sql.execute("SELECT count(*) FROM webhooks WHERE replay_next_seq IS NULL").fetchone() == (1,)
