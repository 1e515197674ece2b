"""Several workers process the same events: each follower is notified once, and gets no duplicate mail."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import text

from bugrelay.domain.events.schemas import SHARED_STREAMS, Event
from bugrelay.domain.notifications.service import fan_out
from bugrelay.domain.notifications.service.announcing import announce_to
from bugrelay.infra.platform import Platform
from tests.factories import PASSWORD, put_application, put_bug, register
from tests.locks import WAITING

Sql = psycopg.Connection[Any]
PEOPLE, EVENTS, WORKERS, STEP = 40, 8, 4, 7


def put_followers(sql: Sql, bug_id: str, count: int, *, verified: bool) -> None:
    """Users who follow the bug, and all that happens to it."""
    sql.execute(
        "WITH people AS ("
        " INSERT INTO users (id, email, email_key, username, is_email_verified)"
        " SELECT id, id || '@people.example', id || '@people.example', left(replace(id::text, '-', ''), 30), %s"
        " FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) x RETURNING id)"
        " INSERT INTO bug_subscriptions (bug_id, user_id, level) SELECT %s, id, 'all' FROM people",
        (verified, count, bug_id),
    )


def an_event(bug_id: str, seq: int, *, kind: str = "response.created") -> Event:
    """As in the log; of a response that does not exist any more, for which nobody would be notified."""
    return Event(
        SHARED_STREAMS[0], seq, kind, datetime.now(UTC), None, UUID(bug_id), None, None, None, "public",
        {"from": "open", "to": "reviewing"}, {"kind": "user", "chain": []},
    )  # fmt: skip


async def announce(platform: Platform, *events: Event) -> None:
    async with platform.work() as work:
        await announce_to(platform.jobs)(work, events)


@pytest.mark.parametrize(
    "_round", [0, 1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 20))]
)
async def test_each_follower_is_notified_once_by_competing_workers(
    platform: Platform, sql: Sql, monkeypatch: pytest.MonkeyPatch, _round: int
) -> None:
    monkeypatch.setattr(fan_out, "STEP", STEP)
    bug_id = put_bug(sql, put_application(sql))
    put_followers(sql, bug_id, PEOPLE, verified=True)
    events = [an_event(bug_id, seq, kind="status.changed") for seq in range(1, EVENTS + 1)]
    await asyncio.gather(announce(platform, *events), announce(platform, *events))
    ids = [row[0] for row in sql.execute("SELECT id FROM notice_fan_outs").fetchall()]
    assert len(ids) == EVENTS

    async def work_on_all() -> None:
        for fan_out_id in random.sample(ids, len(ids)):
            finished = False
            while not finished:
                async with platform.work() as work:
                    await work.set_timeouts(statement_seconds=20, lock_seconds=20)
                    finished = (await fan_out.run_step(work, fan_out_id)).finished

    await asyncio.gather(*(work_on_all() for _ in range(WORKERS)))
    told = sql.execute("SELECT count(*), count(DISTINCT (fan_out_id, user_id)) FROM notices").fetchone()
    assert told == (PEOPLE * EVENTS, PEOPLE * EVENTS)
    mails = sql.execute(
        "SELECT DISTINCT single, digest, gathered FROM ("
        " SELECT count(*) FILTER (WHERE m.kind = 'notice') AS single,"
        "  count(*) FILTER (WHERE m.kind = 'digest') AS digest,"
        "  sum((SELECT count(*) FROM notices n WHERE n.mail_id = m.id)) FILTER (WHERE m.kind = 'digest') AS gathered"
        " FROM notice_mails m GROUP BY m.user_id) x"
    ).fetchall()
    assert mails == [(5, 1, EVENTS - 5)]


async def test_a_digest_that_is_sealed_meanwhile_loses_no_notice(platform: Platform, sql: Sql) -> None:
    """Each notice is in a digest that is sent after it: the row is locked from both sides."""
    from bugrelay.domain.notifications.service import mails

    bug_id = put_bug(sql, put_application(sql))
    put_followers(sql, bug_id, 10, verified=True)
    sql.execute("INSERT INTO notice_settings (user_id, mail) SELECT id, 'digest' FROM users")
    # As the worker claims: it waits for nobody who tells, and locks in no order of its own.
    make_due = (
        "UPDATE notice_mails SET due_at = now() WHERE id IN"
        " (SELECT id FROM notice_mails WHERE sealed_at IS NULL FOR UPDATE SKIP LOCKED)"
    )
    told_into_sealed = "SELECT count(*) FROM notices n JOIN notice_mails m ON m.id = n.mail_id WHERE n.created_at > m.sealed_at"

    async def tell(seq: int) -> None:
        await announce(platform, an_event(bug_id, seq, kind="status.changed"))
        (fan_out_id,) = sql.execute("SELECT id FROM notice_fan_outs WHERE seq = %s", (seq,)).fetchone() or ()
        async with platform.work() as work:
            await fan_out.run_step(work, fan_out_id)

    async def seal() -> None:
        for _ in range(20):
            async with platform.work() as work:
                await work.session.execute(text(make_due))
            async with platform.work() as work:
                claimed = await mails.claim_due(work)
                await mails.close(work, claimed)

    await asyncio.gather(seal(), *(tell(seq) for seq in range(1, 21)))
    assert sql.execute("SELECT count(*) FROM notices WHERE mail_id IS NOT NULL").fetchone() == (200,)
    assert sql.execute(told_into_sealed).fetchone() == (0,)


async def test_a_step_that_began_before_an_erasure_leaves_nothing_of_the_account(
    platform: Platform, client: httpx.AsyncClient, sql: Sql
) -> None:
    ada = await register(client, "ada")
    bug_id = put_bug(sql, put_application(sql))
    sql.execute("UPDATE users SET is_email_verified = true")
    sql.execute(
        "INSERT INTO bug_subscriptions (bug_id, user_id, level) VALUES (%s, %s, 'all')", (bug_id, ada.id)
    )
    await announce(platform, an_event(bug_id, 1, kind="status.changed"))
    (fan_out_id,) = sql.execute("SELECT id FROM notice_fan_outs").fetchone() or ()

    async def erase() -> httpx.Response:
        return await client.request(
            "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=ada.headers
        )

    async with platform.work() as work:
        assert (await fan_out.run_step(work, fan_out_id)).told == 1
        erasing = asyncio.create_task(erase())
        while not erasing.done() and sql.execute(WAITING).fetchone() == (0,):
            await asyncio.sleep(0.01)
    if (await erasing).status_code == 503:  # the machine paused for longer than a lock is waited for
        erasing = asyncio.create_task(erase())
    assert (await erasing).status_code == 200
    left = "SELECT (SELECT count(*) FROM notices), (SELECT count(*) FROM notice_mails)"
    assert sql.execute(left).fetchone() == (0, 0)
