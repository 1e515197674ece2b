"""Each consumer has the effects of each event once, in order; one that fails stops its own stream alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx

from bugrelay.domain.events.consumers import BATCH, Consumer, start_consumers
from bugrelay.domain.events.log import CHANNEL
from bugrelay.domain.events.schemas import Event
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.subscription import Subscription
from tests.domain.events.conftest import Notes, Sql, following, heads, noted
from tests.domain.events.test_order import WRITERS, said, write
from tests.factories import report
from tests.infra.redis.server import eventually


async def started(platform: Platform, *consumers: Notes) -> None:
    """Known before anything is written, as they are when a worker runs."""
    async with platform.work() as work:
        await start_consumers(work, [consumer.name for consumer in consumers])


async def test_two_workers_give_each_event_to_each_consumer_once(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    first, second = Notes("first"), Notes("second")
    await started(platform, first, second)
    both = first.consumer, second.consumer
    async with following(platform, *both), following(platform, *both):
        await asyncio.gather(*(write(platform, seed) for seed in range(WRITERS)))
        await eventually(lambda: noted(sql, "first") == noted(sql, "second") == heads(sql), seconds=30)


async def test_a_batch_has_500_events_at_most(platform: Platform, sql: Sql, notes: Any) -> None:
    consumer, company_id = Notes(), new_id()
    await started(platform, consumer)
    async with platform.work() as work:
        for _ in range(BATCH + 1):
            work.record(said(company_id))
    async with following(platform, consumer.consumer):
        await eventually(lambda: noted(sql) == heads(sql), seconds=30)
    assert consumer.batches == [BATCH, 1]


async def test_a_consumer_that_ends_its_turn_early_continues_after_what_it_has_handled(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    consumer, company_id = Notes(batch=3, turn=2), new_id()
    await started(platform, consumer)
    async with platform.work() as work:
        for _ in range(5):
            work.record(said(company_id))
    async with following(platform, consumer.consumer):
        await eventually(lambda: noted(sql) == heads(sql), seconds=30)
    assert consumer.batches == [3, 3, 1]


async def test_a_failing_consumer_stops_its_own_stream_and_continues_when_it_is_fixed(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    bad, good = new_id(), new_id()
    consumer = Notes(fails_at=lambda event: event.stream == bad and event.seq == 3)
    other = Notes("other")
    await started(platform, consumer, other)
    async with platform.work() as work:
        for company_id in (bad, good):
            for _ in range(5):
                work.record(said(company_id))

    def cursor() -> Any:
        return sql.execute(
            "SELECT seq, attempts > 0, error IS NOT NULL, retry_at IS NOT NULL FROM event_cursors"
            " WHERE consumer = 'notes' AND stream = %s",
            (bad,),
        ).fetchone()

    everything = {bad: [1, 2, 3, 4, 5], good: [1, 2, 3, 4, 5]}
    async with following(platform, consumer.consumer, other.consumer):
        await eventually(lambda: cursor() == (2, True, True, True), seconds=30)
        await eventually(lambda: noted(sql, "other") == everything, seconds=30)
        await eventually(lambda: noted(sql) == {bad: [1, 2], good: [1, 2, 3, 4, 5]}, seconds=30)
        consumer.fails_at = lambda _event: False
        await eventually(lambda: noted(sql) == everything, seconds=60)
        assert cursor() == (5, False, False, False)


async def test_one_that_hangs_holds_up_no_other_stream_and_no_other_consumer(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    slow, swift = new_id(), new_id()
    consumer, other, hung = Notes(), Notes("other"), asyncio.Event()

    async def hang(work: UnitOfWork, events: Sequence[Event]) -> None:
        if events[0].stream == slow:
            hung.set()
            await asyncio.Event().wait()  # until the worker is stopped
        await consumer.consumer.handle(work, events)

    await started(platform, consumer, other)
    async with following(platform, Consumer("notes", hang), other.consumer):
        await say(platform, slow)
        await hung.wait()
        await say(platform, swift)
        await eventually(lambda: noted(sql) == {swift: [1]}, seconds=30)
        await say(platform, swift)
        await say(platform, slow)
        await eventually(lambda: noted(sql) == {swift: [1, 2]}, seconds=30)
        await eventually(lambda: noted(sql, "other") == {slow: [1, 2], swift: [1, 2]}, seconds=30)
    async with following(platform, consumer.consumer):
        await eventually(lambda: noted(sql) == {slow: [1, 2], swift: [1, 2]}, seconds=30)


async def say(platform: Platform, stream: UUID) -> None:
    async with platform.work() as work:
        work.record(said(stream))


async def test_one_that_has_failed_for_weeks_is_tried_again_every_five_minutes(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    stream, consumer = new_id(), Notes(fails_at=lambda _event: True)
    await started(platform, consumer)
    async with platform.work() as work:
        work.record(said(stream))
    sql.execute(
        "INSERT INTO event_cursors (consumer, stream, attempts, error) VALUES ('notes', %s, 5000, 'before')",
        (stream,),
    )

    def counted() -> Any:
        return sql.execute(
            "SELECT attempts, retry_at - now() BETWEEN interval '1 minute' AND interval '6.25 minutes'"
            " FROM event_cursors WHERE consumer = 'notes' AND stream = %s",
            (stream,),
        ).fetchone()

    async with following(platform, consumer.consumer):
        await eventually(lambda: counted() == (5001, True), seconds=30)


async def test_a_new_consumer_begins_at_the_end_of_what_is_there(
    platform: Platform, sql: Sql, notes: Any
) -> None:
    before, after = new_id(), new_id()
    async with platform.work() as work:
        work.record(said(before))
    consumer = Notes()
    await started(platform, consumer)
    async with platform.work() as work:
        work.record(said(before))
        work.record(said(after))
    async with following(platform, consumer.consumer):
        await eventually(lambda: noted(sql) == {before: [2], after: [1]}, seconds=30)
    await started(platform, consumer)  # the next worker finds it known
    async with following(platform, consumer.consumer):
        await eventually(lambda: noted(sql) == {before: [2], after: [1]}, seconds=30)


async def test_a_woken_consumer_reads_at_once(
    platform: Platform, sql: Sql, notes: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("bugrelay.domain.events.consumers.POLL_SECONDS", 3600.0)
    consumer = Notes()
    await started(platform, consumer)
    async with following(platform, consumer.consumer) as woken:
        async with platform.work() as work:
            work.record(said(new_id()))
        woken.set()
        await eventually(lambda: noted(sql) == heads(sql), seconds=30)


async def test_a_write_wakes_consumers_through_redis(platform: Platform) -> None:
    stream, heard = new_id(), asyncio.Queue[tuple[bytes, bytes]]()
    bell = Subscription(platform.settings.redis_url, f"{CHANNEL}*", lambda *told: heard.put_nowait(told))
    listening = asyncio.create_task(bell.listen())
    try:
        async with asyncio.timeout(30):
            while heard.empty():  # until it listens
                async with platform.work() as work:
                    work.record(said(stream))
                await asyncio.sleep(0.05)
            channel, number = await heard.get()
        assert channel == f"{CHANNEL}{stream}".encode()
        assert int(number) >= 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_ready_shows_how_long_the_oldest_event_waits(
    client: httpx.AsyncClient, platform: Platform, sql: Sql, notes: Any
) -> None:
    async def lag() -> float:
        answer = (await client.get("/ready")).json()
        assert answer["status"] == "ok"
        seconds: float = answer["events"]["lag_seconds"]
        return seconds

    consumer = Notes(fails_at=lambda _event: True)
    async with platform.work() as work:
        work.record(said(new_id()))
    assert await lag() == 0.0  # nobody waits for it
    await started(platform, consumer)
    async with following(platform, consumer.consumer):
        await report(client)
        await consumer.failed.wait()
        before = await lag()
        assert 0 < before < await lag()
        consumer.fails_at = lambda _event: False
        await eventually(lambda: noted(sql) == heads_since(sql), seconds=60)
    assert await lag() == 0.0


async def test_ready_shows_how_long_events_that_were_recorded_later_wait(
    client: httpx.AsyncClient, platform: Platform, sql: Sql
) -> None:
    """Since they were written, not since they happened; they hide no event that waits after them."""
    await started(platform, Notes())
    await report(client)
    sql.execute("DELETE FROM event_streams; SET session_replication_role = replica; DELETE FROM events")
    sql.execute("SET session_replication_role = origin")
    sql.execute("SELECT list_missing_events('00000000-0000-0000-0000-000000000000')")
    sql.execute("UPDATE missing_events SET at = at - interval '1 year'")
    sql.execute("SELECT record_missing_events(10)")
    first, second = [(await client.get("/ready")).json()["events"]["lag_seconds"] for _ in range(2)]
    assert 0 < first <= second < 3600


def heads_since(sql: Sql) -> dict[Any, list[int]]:
    """The numbers of the one stream in which something happened since a consumer began: that of the report."""
    bugs = "SELECT stream, seq FROM events WHERE type = 'bug.created'"
    return {stream: [seq] for stream, seq in sql.execute(bugs).fetchall()}
