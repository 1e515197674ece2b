"""Rate limits by sliding windows, counted in Redis for all processes, or in memory while Redis is unavailable."""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bugrelay.infra.redis.client import RedisClient, RedisUnavailable, Script
from bugrelay.settings import Rate

MAX_LOCAL_WINDOWS = 20_000

# KEYS: one sorted set per bucket, of the timestamps (µs by the server's clock) of the calls that were allowed.
# ARGV: a unique member, then limit and window in seconds for each key.
# Reply: the wait in µs (0: allowed), then for each key the calls that remain and the µs until one is free.
# The first write is the ZADD: a full server refuses it, but accepts further writes of a script that has written.
_HIT = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = 0
local reply = {}
for i = 1, #KEYS do
  local limit, window = tonumber(ARGV[2 * i]), ARGV[2 * i + 1] * 1000000
  -- Lua converts numbers with 14 digits, which is not enough for a timestamp in µs.
  local count = redis.call('ZCOUNT', KEYS[i], string.format('(%.0f', now - window), '+inf')
  local reset = window
  if count > 0 then
    local index = -math.min(count, limit)
    reset = redis.call('ZRANGE', KEYS[i], index, index, 'WITHSCORES')[2] + window - now
  end
  if count >= limit then wait = math.max(wait, reset) end
  reply[2 * i - 1], reply[2 * i] = math.max(limit - count, 0), reset
end
if wait == 0 then
  for i = 1, #KEYS do
    local window = ARGV[2 * i + 1] * 1000000
    redis.call('ZADD', KEYS[i], now, ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - window)
    redis.call('PEXPIRE', KEYS[i], window / 1000)
    reply[2 * i - 1] = reply[2 * i - 1] - 1
  end
end
table.insert(reply, 1, wait)
return reply
""")


LimitName = Literal[
    "general",
    "bug_submission",
    "sign_in",
    "mail",
    "password_reset",
    "similar",
    "feeds",
    "issue_reports",
    "new_applications",
]
"""The limits; what each counts is in docs/settings.md."""
LIMIT_NAMES: frozenset[LimitName] = frozenset(get_args(LimitName))


@dataclass(frozen=True)
class Bucket:
    """A limit, and the name under which its calls are counted."""

    name: str
    rate: Rate


Charge = tuple[Bucket, str]
"""A bucket and the identity of the caller: a result of `limit_identity`, or an account id."""


@dataclass(frozen=True)
class Decision:
    """Whether the call is allowed, and the state of the bucket with the fewest remaining calls.

    `reset_seconds` is the time until that bucket allows one more call, rounded up.
    """

    allowed: bool
    retry_after_seconds: int
    """0 when allowed, else 1 or more."""
    limit: int
    remaining: int
    reset_seconds: int


class Limiter:
    """An exact sliding window per bucket and identity.

    Memory is at most `limit` members per key, for one window. Several charges are one atomic decision: all of
    them or none, and a refused call counts nowhere.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._local = _LocalWindows()

    async def hit(self, charges: Sequence[Charge]) -> Decision:
        """Decide about one call, and count it if it is allowed.

        While Redis is unavailable, each process counts for itself, on top of what it counted in the last such period.

        Raises:
            ValueError: `charges` is empty.
        """
        if not charges:
            raise ValueError("a decision needs at least one charge")
        keys = [_key(charge) for charge in charges]
        rates = [bucket.rate for bucket, _ in charges]
        numbers = [number for rate in rates for number in (rate.limit, rate.window_seconds)]
        try:
            wait_us, *states = await self._redis.run_script(_HIT, keys, [os.urandom(8), *numbers])
        except RedisUnavailable:
            wait_us, *states = self._local.hit(charges)
        return _decision(charges, wait_us, list(zip(states[::2], states[1::2], strict=True)))


def _key(charge: Charge) -> str:
    # The braces put all buckets of one identity on one node, should Redis ever be sharded.
    bucket, identity = charge
    return f"bugrelay:limit:{{{identity}}}:{bucket.name}"


def _decision(charges: Sequence[Charge], wait_us: int, states: list[tuple[int, int]]) -> Decision:
    """`states` has (remaining calls, µs until one more is allowed) for each charge, in their order."""
    tightest = min(range(len(charges)), key=lambda i: (states[i][0], -states[i][1]))
    remaining, reset_us = states[tightest]
    return Decision(
        allowed=wait_us == 0,
        retry_after_seconds=math.ceil(wait_us / 1_000_000),
        limit=charges[tightest][0].rate.limit,
        remaining=remaining,
        reset_seconds=math.ceil(reset_us / 1_000_000),
    )


class _LocalWindows:
    """The same windows in memory; the least recently used are dropped beyond `MAX_LOCAL_WINDOWS`."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, list[int]] = OrderedDict()

    def hit(self, charges: Sequence[Charge]) -> list[int]:
        """Decide and count like the script, with the same reply."""
        now_us = time.monotonic_ns() // 1000
        wait_us = 0
        reply: list[int] = []
        for charge in charges:
            rate, window_us = charge[0].rate, charge[0].rate.window_seconds * 1_000_000
            calls = self._windows.get(_key(charge), [])
            del calls[: bisect_right(calls, now_us - window_us)]
            reset_us = calls[0] + window_us - now_us if calls else window_us
            if len(calls) >= rate.limit:
                wait_us = max(wait_us, reset_us)
            reply += [rate.limit - len(calls), reset_us]
        if wait_us == 0:
            for index, charge in enumerate(charges):
                self._count(_key(charge), now_us)
                reply[2 * index] -= 1
        return [wait_us, *reply]

    def _count(self, key: str, now_us: int) -> None:
        self._windows.setdefault(key, []).append(now_us)
        self._windows.move_to_end(key)
        if len(self._windows) > MAX_LOCAL_WINDOWS:
            self._windows.popitem(last=False)
