"""At most N calls in any window: over processes, without Redis, and while Redis comes and goes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from bugrelay.infra.redis import rate_limits
from bugrelay.infra.redis.client import RedisClient
from bugrelay.infra.redis.rate_limits import Bucket, Decision, Limiter
from bugrelay.settings import Rate
from tests.faults.proxy import FaultProxy
from tests.infra.redis.server import Valkey, eventually
from tests.pace import undisturbed

RACER = """
import asyncio, json, sys, time
from bugrelay.infra.redis import client
from bugrelay.infra.redis.rate_limits import Bucket, Limiter
from bugrelay.infra.redis.client import RedisClient
from bugrelay.settings import Rate

client.DEADLINE_SECONDS, client.DEADLINE_TICKS = 30.0, 600

async def main(url, name):
    gate = RedisClient(url)
    await gate.start()
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    limiter, bucket, allowed = Limiter(gate), Bucket(name, Rate(30, 60)), []
    for number in range(20):
        await asyncio.sleep(max(0, start + number * 0.05 - time.time()))
        decisions = [await limiter.hit([(bucket, f"round {number}")]) for _ in range(20)]
        allowed.append(sum(decision.allowed for decision in decisions))
    assert gate.state == "ok"
    await gate.close()
    print(json.dumps(allowed))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["redis", "memory"])
async def limiter(request: pytest.FixtureRequest, valkey_url: str) -> AsyncIterator[Limiter]:
    """A limiter with Redis, and one whose Redis is away."""
    gate = RedisClient(valkey_url)
    if request.param == "redis":
        await gate.start()
    yield Limiter(gate)
    await gate.close()


def bucket(limit: int, window_seconds: int = 60) -> Bucket:
    """A bucket that no other test counts in."""
    return Bucket(uuid4().hex, Rate(limit, window_seconds))


async def hits(
    limiter: Limiter, bucket: Bucket, count: int, *, identity: str = "192.0.2.1"
) -> list[Decision]:
    return [await limiter.hit([(bucket, identity)]) for _ in range(count)]


def allowed(decisions: list[Decision]) -> int:
    return sum(decision.allowed for decision in decisions)


def start_racers(valkey_url: str) -> list[subprocess.Popen[str]]:
    command = (sys.executable, "-c", RACER, valkey_url, uuid4().hex)
    return [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]


async def test_processes_that_race_get_exactly_the_limit_together(valkey_url: str) -> None:
    racers = start_racers(valkey_url)
    assert [racer.stdout and racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
    start = f"{time.time() + 0.1}\n"
    waiting = [asyncio.to_thread(racer.communicate, start, 60) for racer in racers]
    rounds = [json.loads(output) for output, _ in await asyncio.gather(*waiting)]
    assert [sum(counts) for counts in zip(*rounds, strict=True)] == [30] * 20
    met = [counts for counts in zip(*rounds, strict=True) if any(0 < count < 20 for count in counts)]
    assert len(met) > 5, "they hardly ever raced"


async def test_calls_in_parallel_get_exactly_the_limit(limiter: Limiter) -> None:
    general = bucket(10)
    decisions = await asyncio.gather(*(limiter.hit([(general, "a")]) for _ in range(100)))
    assert allowed(decisions) == 10
    assert sorted(d.remaining for d in decisions if d.allowed) == list(range(10))


async def test_refused_calls_do_not_count(limiter: Limiter) -> None:
    async def refused_for_most_of_the_window() -> tuple[Bucket, float]:
        short, began = bucket(3, window_seconds=1), time.monotonic()
        assert allowed(await hits(limiter, short, 3)) == 3
        while time.monotonic() - began < 0.9:
            assert allowed(await hits(limiter, short, 5)) == 0
            await asyncio.sleep(0.05)
        return short, began

    async def allowed_afterwards() -> None:
        short, began = await undisturbed(refused_for_most_of_the_window, seconds=0.95)
        await asyncio.sleep(0.15 + began + 0.9 - time.monotonic())
        assert allowed(await hits(limiter, short, 5)) == 3

    await undisturbed(allowed_afterwards, seconds=1.5)


async def test_the_window_slides(limiter: Limiter) -> None:
    async def slide() -> None:
        short = bucket(2, window_seconds=1)
        assert allowed(await hits(limiter, short, 1)) == 1
        await asyncio.sleep(0.6)
        assert allowed(await hits(limiter, short, 2)) == 1
        await asyncio.sleep(0.5)
        assert allowed(await hits(limiter, short, 2)) == 1

    await undisturbed(slide, seconds=0.95)


async def test_a_refusal_says_when_to_come_again(limiter: Limiter) -> None:
    async def refuse() -> None:
        *_, last, refused = await hits(limiter, bucket(2), 3)
        assert last == Decision(allowed=True, retry_after_seconds=0, limit=2, remaining=0, reset_seconds=60)
        assert refused == Decision(
            allowed=False, retry_after_seconds=60, limit=2, remaining=0, reset_seconds=60
        )

    await undisturbed(refuse, seconds=0.95)


async def test_waiting_for_retry_after_is_enough(limiter: Limiter) -> None:
    async def refuse() -> Bucket:
        *_, refused = await hits(limiter, short := bucket(1, window_seconds=1), 2)
        assert refused.retry_after_seconds == 1
        return short

    short = await undisturbed(refuse, seconds=0.95)
    await asyncio.sleep(1)
    assert allowed(await hits(limiter, short, 1)) == 1


async def test_a_call_that_one_bucket_refuses_counts_in_none(limiter: Limiter) -> None:
    general, submission = bucket(10), bucket(2)
    both = [(general, "a"), (submission, "a")]
    decisions = [await limiter.hit(both) for _ in range(5)]
    assert allowed(decisions) == 2
    assert (await limiter.hit([(general, "a")])).remaining == 10 - 2 - 1


async def test_the_tightest_bucket_is_reported(limiter: Limiter) -> None:
    general, submission = bucket(10), bucket(5)
    first = await limiter.hit([(general, "a"), (submission, "a")])
    assert (first.limit, first.remaining) == (5, 4)
    await hits(limiter, general, 6, identity="a")
    second = await limiter.hit([(general, "a"), (submission, "a")])
    assert (second.limit, second.remaining) == (10, 2)


async def test_a_refusal_by_two_buckets_names_the_longer_wait(limiter: Limiter) -> None:
    async def refuse() -> None:
        both = [(bucket(1, window_seconds=1), "a"), (bucket(1, window_seconds=3600), "a")]
        assert (await limiter.hit(both)).allowed
        refused = await limiter.hit(both)
        assert (refused.retry_after_seconds, refused.limit, refused.reset_seconds) == (3600, 1, 3600)

    await undisturbed(refuse, seconds=0.95)


async def test_identities_and_buckets_are_counted_apart(limiter: Limiter) -> None:
    one, other = bucket(1), bucket(1)
    assert allowed(await hits(limiter, one, 2, identity="a")) == 1
    assert allowed(await hits(limiter, one, 2, identity="b")) == 1
    assert allowed(await hits(limiter, other, 2, identity="a")) == 1


async def test_no_charge_is_a_mistake_of_the_caller(limiter: Limiter) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await limiter.hit([])


async def test_a_key_holds_no_more_than_the_limit_and_expires(gate: RedisClient) -> None:
    general = bucket(5)
    await hits(Limiter(gate), general, 50)
    key = f"bugrelay:limit:{{192.0.2.1}}:{general.name}"
    assert await gate.run("ZCARD", key) == 5
    assert 50_000 < await gate.run("PTTL", key) <= 60_000


async def test_a_lowered_limit_waits_until_enough_calls_have_left(gate: RedisClient) -> None:
    async def lower() -> None:
        limiter, name = Limiter(gate), uuid4().hex
        await hits(limiter, Bucket(name, Rate(3, 2)), 1)
        await asyncio.sleep(1.1)
        await hits(limiter, Bucket(name, Rate(3, 2)), 2)
        (refused,) = await hits(limiter, Bucket(name, Rate(1, 2)), 1)
        assert refused == Decision(
            allowed=False, retry_after_seconds=2, limit=1, remaining=0, reset_seconds=2
        )

    await undisturbed(lower, seconds=1.9)


async def test_a_flood_of_addresses_does_not_eat_the_memory(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_LOCAL_WINDOWS", 100)
    limiter, general = Limiter(RedisClient(valkey_url)), bucket(1)
    for number in range(1000):
        assert allowed(await hits(limiter, general, 1, identity=f"flood {number}")) == 1
    assert len(limiter._local._windows) == 100
    assert allowed(await hits(limiter, general, 1, identity="flood 999")) == 0


async def test_limits_hold_per_process_while_redis_is_dead_and_in_redis_again_after(
    own_gate: RedisClient, own_valkey: Valkey
) -> None:
    limiter, general = Limiter(own_gate), bucket(5)
    assert allowed(await hits(limiter, general, 3)) == 3
    own_valkey.kill()
    began = time.monotonic()
    assert allowed(await hits(limiter, general, 50)) == 5
    assert time.monotonic() - began < 10  # a single call that waited would take 30 s
    own_valkey.start()
    await eventually(lambda: own_gate.state == "ok")
    assert allowed(await hits(limiter, general, 50)) == 5
    assert own_valkey.ask(f'ZCARD "bugrelay:limit:{{192.0.2.1}}:{general.name}"') == b":5\r\n"


async def test_limits_hold_while_redis_is_frozen(
    deadlines_of_redis: None, own_gate: RedisClient, own_valkey: Valkey
) -> None:
    limiter, general = Limiter(own_gate), bucket(5)
    own_valkey.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    assert allowed(await asyncio.gather(*(limiter.hit([(general, "a")]) for _ in range(200)))) == 5
    assert allowed(await hits(limiter, general, 50, identity="a")) == 0
    assert time.monotonic() - began < 6  # calls that each waited for a quarter of a second would take 12 s
    own_valkey.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("mode", ["hang", "reset"])
async def test_limits_hold_while_the_way_to_redis_is_broken(
    deadlines_of_redis: None, proxied_gate: RedisClient, proxy: FaultProxy, valkey: Valkey, mode: str
) -> None:
    limiter, general = Limiter(proxied_gate), bucket(5)
    proxy.set_mode("hang" if mode == "hang" else "reset")
    assert allowed(await asyncio.gather(*(limiter.hit([(general, "a")]) for _ in range(200)))) == 5
    proxy.set_mode("pass")

    async def count_in_redis() -> None:
        await eventually(lambda: proxied_gate.state == "ok")
        identity = uuid4().hex
        assert allowed(await hits(limiter, general, 8, identity=identity)) == 5
        assert valkey.ask(f'ZCARD "bugrelay:limit:{{{identity}}}:{general.name}"') == b":5\r\n"

    await undisturbed(count_in_redis, seconds=0.2)


async def test_a_flushed_server_starts_counting_again_without_an_error(
    own_gate: RedisClient, own_valkey: Valkey
) -> None:
    limiter, general = Limiter(own_gate), bucket(5)
    assert allowed(await hits(limiter, general, 8)) == 5
    own_valkey.ask("FLUSHALL")
    own_valkey.ask("SCRIPT FLUSH")
    assert allowed(await hits(limiter, general, 8)) == 5
    assert own_gate.state == "ok"


@pytest.mark.parametrize(
    "broken", ["CONFIG SET maxmemory 1 maxmemory-policy noeviction", "REPLICAOF 127.0.0.1 1"]
)
async def test_limits_hold_when_redis_takes_no_writes(
    own_gate: RedisClient, own_valkey: Valkey, broken: str
) -> None:
    limiter, general = Limiter(own_gate), bucket(5)
    own_valkey.ask(broken)
    assert allowed(await hits(limiter, general, 50)) == 5
    assert own_gate.state == "down"
