"""Hot answers are short-lived and hold nothing that was asked before a write."""

from __future__ import annotations

import asyncio

import pytest

from bugrelay.infra.redis import local_cache as module
from bugrelay.infra.redis.cache import Cache
from bugrelay.infra.redis.client import RedisClient
from bugrelay.infra.redis.local_cache import LOCAL_SECONDS, CachedResponse, CacheKey, LocalCache
from tests.faults.proxy import FaultProxy

KEY = ("/api/v1/bugs", b"page=1")


class Clock:
    """The time of the cache, which passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def answer(*, asked_at: float, group: str = "bugs", body: bytes = b"old") -> CachedResponse:
    return CachedResponse(body, b'W/"1"', [], CacheKey(group, "1", "/bugs"), asked_at)


def body_of(hot: LocalCache, key: tuple[str, bytes] = KEY) -> bytes | None:
    kept = hot.get(key)
    return kept.body if kept else None


def test_a_response_is_kept_until_it_expires(clock: Clock) -> None:
    hot = LocalCache()
    hot.put(KEY, answer(asked_at=clock.now))
    clock.now += LOCAL_SECONDS - 0.01
    assert body_of(hot) == b"old"
    clock.now += 0.02
    assert body_of(hot) is None


def test_while_nothing_is_written_a_response_stays_fresh(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNCHANGED_SECONDS", 100.0)
    now, hot = clock.now, LocalCache()
    ages = {"young": 50, "asked when it began": 80, "asked before it began": 81, "old": 101}
    for name, age in ages.items():
        hot.put((name, b""), answer(asked_at=now - age, group=name))
    hot.keep_unchanged(now - 80, now + 60)
    kept = [name for name in ages if body_of(hot, (name, b""))]
    assert kept == ["young", "asked when it began"]
    hot.invalidate("young")
    assert body_of(hot, ("young", b"")) is None
    hot.keep_unchanged(now - 80, now - LOCAL_SECONDS)
    assert body_of(hot, ("asked when it began", b"")) is None


def test_invalidation_drops_the_group_and_leaves_the_others(clock: Clock) -> None:
    hot = LocalCache()
    hot.put(KEY, answer(asked_at=clock.now))
    hot.put(("/api/v1/bugs/1", b""), answer(asked_at=clock.now, group="bug:1"))
    hot.invalidate("bugs", "unheard of")
    assert body_of(hot) is None
    assert body_of(hot, ("/api/v1/bugs/1", b"")) == b"old"


def test_a_response_read_before_a_write_is_not_stored_after_it(clock: Clock) -> None:
    hot = LocalCache()
    asked_at = clock.now
    clock.now += 0.01
    hot.invalidate("bugs")
    hot.put(KEY, answer(asked_at=asked_at))
    assert body_of(hot) is None
    clock.now += 0.01
    hot.put(KEY, answer(asked_at=clock.now, body=b"new"))
    assert body_of(hot) == b"new"


def test_a_response_read_before_the_last_of_many_writes_is_not_stored(clock: Clock) -> None:
    hot = LocalCache()
    hot.invalidate("bugs")
    asked_at = clock.now
    for number in range(1000):
        hot.invalidate(f"bug:{number}")
    clock.now += 0.01
    hot.invalidate("bugs")
    hot.put(KEY, answer(asked_at=asked_at))
    assert body_of(hot) is None


async def test_an_entry_of_redis_from_before_an_invalidation_is_not_stored(
    clock: Clock, proxied_gate: RedisClient, proxy: FaultProxy
) -> None:
    """The write has begun to forget, Redis has not heard of it yet, and a reader is given the old entry."""
    cache = Cache(proxied_gate)
    proxy.set_mode("hang")
    forgetting = asyncio.create_task(cache.invalidate("bugs"))
    await asyncio.sleep(0)
    clock.now += 0.01
    cache.local.put(KEY, answer(asked_at=clock.now))
    assert body_of(cache.local) == b"old"
    proxy.set_mode("pass")
    await forgetting
    assert body_of(cache.local) is None


def test_memory_is_bounded_by_number_and_by_bytes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESPONSES", 3)
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    hot = LocalCache()
    for number in range(4):
        hot.put((str(number), b""), answer(asked_at=clock.now, body=b"x"))
    assert [body_of(hot, (str(number), b"")) for number in range(4)] == [None, b"x", b"x", b"x"]
    hot.put(("large", b""), answer(asked_at=clock.now, body=b"x" * 9))
    assert [body_of(hot, (name, b"")) for name in ("1", "2", "3", "large")] == [None, None, b"x", b"x" * 9]
