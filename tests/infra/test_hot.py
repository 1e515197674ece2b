"""Hot answers are short-lived and hold nothing that was asked before a write."""

from __future__ import annotations

import asyncio
import time

import pytest

from bugrelay.infra import hot as module
from bugrelay.infra.cache import Cache
from bugrelay.infra.hot import HOT_SECONDS, HotAnswer, HotAnswers, Place
from bugrelay.infra.redis import RedisGate

from .faults import FaultProxy

KEY = ("/api/v1/bugs", b"page=1")


def answer(*, asked_at: float | None = None, group: str = "bugs", body: bytes = b"old") -> HotAnswer:
    return HotAnswer(
        body, b'W/"1"', [], Place(group, "1", "/bugs"), time.monotonic() if asked_at is None else asked_at
    )


def body_of(hot: HotAnswers, key: tuple[str, bytes] = KEY) -> bytes | None:
    kept = hot.get(key)
    return kept.body if kept else None


def test_an_answer_is_kept_until_its_time_is_over() -> None:
    hot = HotAnswers()
    hot.put(KEY, answer(asked_at=time.monotonic() - HOT_SECONDS + 0.1))
    assert body_of(hot) == b"old"
    time.sleep(0.11)
    assert body_of(hot) is None


def test_forgetting_drops_the_group_and_leaves_the_others() -> None:
    hot = HotAnswers()
    hot.put(KEY, answer())
    hot.put(("/api/v1/bugs/1", b""), answer(group="bug:1"))
    hot.forget("bugs", "unheard of")
    assert body_of(hot) is None
    assert body_of(hot, ("/api/v1/bugs/1", b"")) == b"old"


def test_what_was_asked_before_a_write_is_not_kept_when_it_comes_later() -> None:
    hot = HotAnswers()
    asked_at = time.monotonic()
    hot.forget("bugs")
    hot.put(KEY, answer(asked_at=asked_at))
    assert body_of(hot) is None
    hot.put(KEY, answer(body=b"new"))
    assert body_of(hot) == b"new"


def test_what_was_asked_before_the_last_of_many_writes_is_not_kept_either() -> None:
    hot = HotAnswers()
    hot.forget("bugs")
    asked_at = time.monotonic()
    for number in range(1000):
        hot.forget(f"bug:{number}")
    hot.forget("bugs")
    hot.put(KEY, answer(asked_at=asked_at))
    assert body_of(hot) is None


async def test_an_answer_of_redis_from_before_it_was_told_is_not_kept(
    proxied_gate: RedisGate, proxy: FaultProxy
) -> None:
    """The write has begun to forget, Redis has not heard of it yet, and a reader is given the old entry."""
    cache = Cache(proxied_gate)
    proxy.set_mode("delay", delay_seconds=0.05)
    forgetting = asyncio.create_task(cache.forget("bugs"))
    await asyncio.sleep(0.02)
    cache.hot.put(KEY, answer())
    assert body_of(cache.hot) == b"old"
    await forgetting
    assert body_of(cache.hot) is None


def test_memory_is_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWERS", 3)
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    hot = HotAnswers()
    for number in range(4):
        hot.put((str(number), b""), answer(body=b"x"))
    assert [body_of(hot, (str(number), b"")) for number in range(4)] == [None, b"x", b"x", b"x"]
    hot.put(("large", b""), answer(body=b"x" * 9))
    assert [body_of(hot, (name, b"")) for name in ("1", "2", "3", "large")] == [None, None, b"x", b"x" * 9]
