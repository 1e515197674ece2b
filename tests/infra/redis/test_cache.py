"""The cache shows nothing that a write has made untrue, loads once for many, and works without Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from bugrelay.infra.redis.cache import MAX_ENTRY_BYTES, TTL_SECONDS, Cache
from bugrelay.infra.redis.client import RedisClient
from tests.faults.proxy import FaultProxy
from tests.infra.redis.server import Valkey, eventually
from tests.pace import undisturbed

LONG = 60.0  # the TTL of entries that must not expire during a test, whatever pauses meanwhile


@dataclass
class SlowRead:
    task: asyncio.Task[tuple[bytes, bool]]
    released: asyncio.Event

    async def end(self) -> tuple[bytes, bool]:
        self.released.set()
        return await self.task


class Row:
    """Something in a database: its value can be changed, and reading it takes time and is counted."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.group = f"group:{uuid4().hex}"
        self.value = b"old"
        self.loads = 0
        self.takes_seconds = 0.0

    async def load(self) -> bytes:
        self.loads += 1
        value = self.value
        await asyncio.sleep(self.takes_seconds)
        return value

    async def read(self, *, through: Cache | None = None) -> tuple[bytes, bool]:
        return await (through or self.cache).get_or_load(group=self.group, key="page=1", load=self.load)

    async def begin_read(self, *, through: Cache | None = None) -> SlowRead:
        """A read that has got the value from the database, and ends when it is told to."""
        began, released = asyncio.Event(), asyncio.Event()

        async def load() -> bytes:
            value = await self.load()
            began.set()
            await released.wait()
            return value

        reading = (through or self.cache).get_or_load(group=self.group, key="page=1", load=load)
        task = asyncio.create_task(reading)
        await began.wait()
        return SlowRead(task, released)

    async def write(self, value: bytes) -> None:
        self.value = value
        await self.cache.invalidate(self.group)


@pytest.fixture
async def row(valkey_url: str) -> AsyncIterator[Row]:
    gate = RedisClient(valkey_url)
    row = Row(Cache(gate, ttl_seconds=LONG))
    await gate.start()
    yield row
    await gate.close()


@pytest.fixture
async def other_process(valkey_url: str) -> AsyncIterator[Cache]:
    """A cache that shares nothing but Redis with the one of `row`."""
    gate = RedisClient(valkey_url)
    cache = Cache(gate, ttl_seconds=LONG)
    await gate.start()
    yield cache
    await gate.close()


@pytest.fixture(params=["redis", "no redis"])
async def row_anyhow(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Row]:
    """A row whose cache has Redis, and one whose cache has not."""
    gate = RedisClient(valkey_url)
    row = Row(Cache(gate, ttl_seconds=LONG))
    if request.param == "redis":
        await gate.start()
    yield row
    await gate.close()


async def test_the_second_read_is_a_hit_also_in_another_process(row: Row, other_process: Cache) -> None:
    assert await row.read() == (b"old", False)
    assert await row.read() == (b"old", True)
    assert await row.read(through=other_process) == (b"old", True)
    assert row.loads == 1


async def test_keys_and_groups_are_kept_apart(row: Row) -> None:
    async def load_one() -> bytes:
        return b"1"

    async def load_two() -> bytes:
        return b"2"

    await row.cache.get_or_load(group=row.group, key="a", load=load_one)
    assert await row.cache.get_or_load(group=row.group, key="b", load=load_two) == (b"2", False)
    assert await row.cache.get_or_load(group=row.group + "x", key="a", load=load_two) == (b"2", False)
    assert await row.cache.get_or_load(group=row.group, key="a", load=load_two) == (b"1", True)


async def test_a_write_is_seen_by_the_next_read_of_every_process(row: Row, other_process: Cache) -> None:
    await row.read()
    await row.read(through=other_process)
    await row.write(b"new")
    assert await row.read(through=other_process) == (b"new", False)
    assert await row.read() == (b"new", True)


async def test_invalidating_one_group_leaves_the_others(row: Row) -> None:
    await row.read()
    await row.cache.invalidate("another", "and one more")
    await row.cache.invalidate()
    assert await row.read() == (b"old", True)


async def test_an_entry_expires_after_half_a_second_without_an_invalidation(valkey_url: str) -> None:
    gate = RedisClient(valkey_url)
    cache = Cache(gate)
    await gate.start()

    async def live() -> tuple[Row, float]:
        row, began = Row(cache), time.monotonic()
        row.takes_seconds = 0.3
        await row.read()
        row.value = b"new"  # As after a kill behind the COMMIT.
        await asyncio.sleep(began + 0.4 - time.monotonic())
        assert await row.read() == (b"old", True)
        return row, began

    row, began = await undisturbed(live, seconds=TTL_SECONDS)
    await asyncio.sleep(began + 0.55 - time.monotonic())
    assert await row.read() == (b"new", False)
    await gate.close()


async def test_a_load_that_took_longer_than_an_entry_lives_is_not_kept(valkey_url: str) -> None:
    gate = RedisClient(valkey_url)
    row = Row(Cache(gate, ttl_seconds=0.1))
    await gate.start()
    row.takes_seconds = 0.15
    await row.read()
    assert await row.read() == (b"old", False)
    assert gate.state == "ok"
    await gate.close()


async def test_nobody_joins_a_load_that_is_older_than_an_entry_may_get(valkey_url: str) -> None:
    row = Row(Cache(RedisClient(valkey_url), ttl_seconds=0.1))
    row.takes_seconds = 0.3
    first = asyncio.create_task(row.read())
    await asyncio.sleep(0.15)
    row.value = b"new"
    assert await row.read() == (b"new", False)
    assert await first == (b"old", False)


async def test_a_reader_that_started_before_a_write_fills_a_stale_entry(
    row: Row, other_process: Cache
) -> None:
    slow = await row.begin_read(through=other_process)
    await row.write(b"new")
    assert await slow.end() == (b"old", False)
    assert await row.read() == (b"new", False)
    assert await row.read(through=other_process) == (b"new", True)


async def test_a_slow_fill_does_not_replace_the_newer_entry_as_valid(row: Row, other_process: Cache) -> None:
    slow = await row.begin_read(through=other_process)
    await row.write(b"new")
    assert await row.read() == (b"new", False)
    await slow.end()
    assert (await row.read())[0] == b"new"


async def test_a_reader_after_a_write_does_not_join_a_load_from_before_it(row_anyhow: Row) -> None:
    row = row_anyhow
    slow = await row.begin_read()
    await row.write(b"new")
    assert await row.read() == (b"new", False)
    assert await slow.end() == (b"old", False)


async def test_two_hundred_cold_readers_cost_one_load(row_anyhow: Row) -> None:
    for takes_seconds in (0.0, 0.05):
        row_anyhow.takes_seconds = takes_seconds
        row_anyhow.loads = 0
        await row_anyhow.cache.invalidate(row_anyhow.group)
        answers = await asyncio.gather(*(row_anyhow.read() for _ in range(200)))
        assert {body for body, _ in answers} == {b"old"}
        assert row_anyhow.loads == 1


async def test_the_reader_who_began_the_load_may_leave(row_anyhow: Row) -> None:
    first = await row_anyhow.begin_read()
    others = [asyncio.create_task(row_anyhow.read()) for _ in range(4)]
    await asyncio.sleep(0)
    await row_anyhow.cache._redis.ping()  # after which the others have asked Redis, and wait for the load
    first.task.cancel()
    first.released.set()
    assert await asyncio.gather(*others) == [(b"old", False)] * 4
    assert first.task.cancelled()
    assert row_anyhow.loads == 1


async def test_an_error_reaches_all_who_wait_and_is_not_kept(row_anyhow: Row) -> None:
    row = row_anyhow
    loads = 0

    async def fail() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.02)
        raise LookupError("gone")

    calls = [row.cache.get_or_load(group=row.group, key="page=1", load=fail) for _ in range(5)]
    assert [type(result) for result in await asyncio.gather(*calls, return_exceptions=True)] == [
        LookupError
    ] * 5
    assert loads == 1
    assert await row.read() == (b"old", False)


async def test_loads_leave_nothing_behind(row_anyhow: Row) -> None:
    await asyncio.gather(*(row_anyhow.read() for _ in range(5)))
    await row_anyhow.write(b"new")
    await asyncio.sleep(0)
    assert row_anyhow.cache._loads == {}


@pytest.mark.parametrize(("size_bytes", "kept"), [(MAX_ENTRY_BYTES, True), (MAX_ENTRY_BYTES + 1, False)])
async def test_entries_over_the_limit_are_not_kept(row: Row, size_bytes: int, kept: bool) -> None:
    row.value = b"x" * size_bytes
    await row.read()
    assert (await row.read())[1] is kept


async def test_keys_in_redis_are_bounded_and_everything_of_a_group_expires(
    own_valkey: Valkey, own_gate: RedisClient
) -> None:
    cache = Cache(own_gate, ttl_seconds=9)
    await cache.get_or_load(group="bugs", key="q=" + "x" * 100_000, load=Row(cache).load)
    keys = [key for key in await own_gate.run("KEYS", "*") if key != b"bugrelay:cache:epoch"]
    assert len(keys) == 3  # The entry, the generation, the probe.
    for key in keys:
        assert len(key) < 100
        assert 0 < await own_gate.run("PTTL", key) <= 10_000


async def test_any_text_is_a_key(row: Row) -> None:
    for key in ("", "\0", "\ud800", "日本"):
        assert (await row.cache.get_or_load(group=row.group, key=key, load=row.load)) == (b"old", False)


async def test_entries_are_stale_after_a_flush(row: Row, valkey: Valkey) -> None:
    slow = await row.begin_read()
    row.value = b"new"
    valkey.ask("FLUSHALL")
    await slow.end()
    assert await row.read() == (b"new", False)


async def test_entries_invalidated_while_redis_was_away_are_not_served_after(
    valkey_url: str, proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    # A long life of entries, so that only forgetting can explain that the old value is gone.
    row = Row(Cache(proxied_gate, ttl_seconds=LONG))
    assert await row.read() == (b"old", False)
    assert await row.read() == (b"old", True)
    proxy.set_mode("reset")
    await eventually(lambda: proxied_gate.state == "down")
    await row.write(b"new")
    assert await row.read() == (b"new", False)
    proxy.set_mode("pass")
    await eventually(lambda: proxied_gate.state == "ok")
    assert await row.read() == (b"new", False)
    assert await row.read() == (b"new", True)


async def test_a_fill_that_was_delayed_is_stale(
    deadlines_of_redis: None, proxied_gate: RedisClient, proxy: FaultProxy, other_process: Cache
) -> None:
    row = Row(Cache(proxied_gate, ttl_seconds=LONG))
    slow = await row.begin_read()
    proxy.set_mode("hang")
    assert await slow.end() == (b"old", False)
    await row.write(b"new")
    proxy.set_mode("pass")
    await eventually(lambda: proxied_gate.state == "ok")
    assert (await row.read(through=other_process))[0] == b"new"
    assert (await row.read())[0] == b"new"


async def test_reads_are_answered_while_redis_hangs(
    deadlines_of_redis: None, proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    row = Row(Cache(proxied_gate))
    proxy.set_mode("hang")
    began = time.monotonic()
    answers = await asyncio.gather(*(row.read() for _ in range(200)))
    assert {body for body, _ in answers} == {b"old"}
    assert time.monotonic() - began < 6  # one after the other, they would take 50 s

    async def write_and_read() -> None:
        began, value = time.monotonic(), uuid4().bytes
        await row.write(value)
        assert await row.read() == (value, False)
        assert time.monotonic() - began < 0.2

    await undisturbed(write_and_read, seconds=0.2)


async def test_a_cancelled_writer_still_invalidates(row: Row, other_process: Cache) -> None:
    await row.read()
    row.value = b"new"
    writer = asyncio.create_task(row.cache.invalidate(row.group))
    await asyncio.sleep(0)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    await row.cache._redis.run("PING")
    assert (await row.read(through=other_process))[0] == b"new"


async def test_no_reader_sees_an_acknowledged_write_undone(row: Row, other_process: Cache) -> None:
    """For a second of readers and one writer, what was acknowledged before a read began is in its answer."""
    acknowledged = 0
    row.value = b"0"

    async def keep_writing() -> None:
        nonlocal acknowledged
        for number in range(1, 200):
            await row.write(str(number).encode())
            acknowledged = number
            await asyncio.sleep(0.005)

    async def keep_reading(cache: Cache) -> int:
        hits = 0
        while not writer.done():
            before = acknowledged
            body, hit = await row.read(through=cache)
            assert int(body) >= before
            hits += hit
        return hits

    row.takes_seconds = 0.002
    writer = asyncio.create_task(keep_writing())
    hits = await asyncio.gather(
        *(keep_reading(cache) for cache in (row.cache, other_process) for _ in range(5))
    )
    assert sum(hits) > 100
