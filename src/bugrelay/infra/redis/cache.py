"""A cache of public bytes, with a TTL below one second and invalidation by groups.

Entries belong to a group (all lists, one bug). A group has a generation, the whole cache an epoch: random
tokens in Redis. An entry contains both as they were before its load began, and is valid only while they are
unchanged, so a slow reader can only store an entry that is stale already. Tokens are random instead of counters, so
that one which expired or was flushed never returns to an old value. To invalidate a group is to delete its generation;
the next reader creates another.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from bugrelay.infra.redis.client import RedisClient, RedisUnavailable, Script
from bugrelay.infra.redis.local_cache import LocalCache

# Together with the cache of each process (infra/redis/local_cache.py, 0.45 s) everybody sees a change within one
# second, even if the invalidation is lost (a kill after the COMMIT).
TTL_SECONDS = 0.5
MAX_ENTRY_BYTES = 1024 * 1024
# Any value is right; a short one keeps the tokens of rarely read groups from filling Redis.
GENERATION_SECONDS = 10

_EPOCH_KEY = "bugrelay:cache:epoch"

# KEYS: epoch, generation. ARGV: a new token, the TTL of a generation in seconds. Reply: the current stamp.
_STAMP = Script("""
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
local generation = redis.call('GET', KEYS[2])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[2], generation, 'EX', ARGV[2])
end
return epoch .. generation
""")


@dataclass(frozen=True)
class _InFlightLoad:
    """A running load, for all readers of its entry; `began` is by `time.monotonic()`."""

    began: float
    task: asyncio.Task[bytes]


_LoadKey = tuple[str, str, bytes | None]


class Cache:
    """A cache in Redis, with single flight in the process; while Redis is unavailable, only the single flight."""

    def __init__(self, redis: RedisClient, *, ttl_seconds: float = TTL_SECONDS) -> None:
        """Must be called before `redis.start()`, since it registers a command for new connections."""
        self._redis = redis
        self._ttl_seconds = ttl_seconds
        self._loads: dict[_LoadKey, _InFlightLoad] = {}
        self.local = LocalCache()
        # A failed call closes the connection, and this is the first command on a new one. So entries that could not be
        # invalidated, or that a restarted server has loaded, become invalid without a list of failed calls.
        redis.on_connect("DEL", _EPOCH_KEY)

    @staticmethod
    def digest(group: str, key: str) -> str:
        """The name of an entry in Redis, of constant length."""
        text = f"{group}\0{key}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=20).hexdigest()

    async def stored(self, group: str, digest: str) -> bytes | None:
        """The entry with this digest, or None if Redis does not have it or it is invalid."""
        _, entry = await self._read(group, digest)
        return entry

    async def get_or_load(
        self, *, group: str, key: str, load: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """The entry and True, or the result of `load` and False.

        Args:
            group: The group for `invalidate`, such as `bugs` or `bug:<id>`.
            key: The canonical text of everything that the bytes depend on; of any length.
            load: Reads the database. It runs in a separate task, so cancelling one caller does not affect the others;
                its errors are raised to all callers that wait, and are not cached.
        """
        digest = self.digest(group, key)
        stamp, body = await self._read(group, digest)
        if body is not None:
            return body, True
        in_flight = self._joinable((group, digest, stamp)) or self._start((group, digest, stamp), load)
        return await asyncio.shield(in_flight.task), False

    async def invalidate(self, *groups: str) -> None:
        """Invalidate groups, after the COMMIT: later readers get nothing that was loaded before this call.

        Errors of Redis are not raised: the entries and loads of this process are invalidated in any case, and those in
        Redis on the next connection, before anything is read from it. Cancellation does not prevent the invalidation.
        """
        self._loads = {key: in_flight for key, in_flight in self._loads.items() if key[0] not in groups}
        self.local.invalidate(*groups)
        if not groups:
            return
        try:
            with suppress(RedisUnavailable):
                await self._redis.run("DEL", *(_generation_key(group) for group in groups))
        finally:
            # Again, since a reader may have got the old entry before Redis deleted the generation.
            self.local.invalidate(*groups)

    def keep_unchanged(self, since: float, until: float) -> None:
        """Tell the local cache that nothing was written to the database between these times of `time.monotonic()`.

        Entries of Redis may be older than their request by the TTL, so the period begins that much later.
        """
        self.local.keep_unchanged(since + self._ttl_seconds, until)

    async def _read(self, group: str, digest: str) -> tuple[bytes | None, bytes | None]:
        """The stamp (None without Redis), and the entry if it is valid; one round trip if there is an entry."""
        keys = (_EPOCH_KEY, _generation_key(group))
        try:
            epoch, generation, entry = await self._redis.run("MGET", *keys, _entry_key(digest))
            if epoch is None or generation is None:
                arguments = (os.urandom(12), GENERATION_SECONDS)
                return await self._redis.run_script(_STAMP, keys, arguments), None
        except RedisUnavailable:
            return None, None
        stamp = epoch + generation
        if entry is None or not entry.startswith(stamp):
            return stamp, None
        return stamp, entry[len(stamp) :]

    def _joinable(self, key: _LoadKey) -> _InFlightLoad | None:
        """A running load of this entry to wait for, unless it began longer ago than the TTL."""
        in_flight = self._loads.get(key)
        if in_flight is None or time.monotonic() - in_flight.began > self._ttl_seconds:
            return None
        return in_flight

    def _start(self, key: _LoadKey, load: Callable[[], Awaitable[bytes]]) -> _InFlightLoad:
        began = time.monotonic()
        in_flight = _InFlightLoad(began, asyncio.create_task(self._load_and_store(key, load, began)))
        self._loads[key] = in_flight

        def finish(task: asyncio.Task[bytes]) -> None:
            if self._loads.get(key) is in_flight:
                del self._loads[key]
            if not task.cancelled():
                task.exception()  # marks it as retrieved, since all callers may have been cancelled

        in_flight.task.add_done_callback(finish)
        return in_flight

    async def _load_and_store(
        self, key: _LoadKey, load: Callable[[], Awaitable[bytes]], began: float
    ) -> bytes:
        body = await load()
        _, digest, stamp = key
        left_ms = int((began + self._ttl_seconds - time.monotonic()) * 1000)
        if stamp is not None and left_ms > 0 and len(body) <= MAX_ENTRY_BYTES:
            with suppress(RedisUnavailable):
                await self._redis.run("SET", _entry_key(digest), stamp + body, "PX", left_ms)
        return body


def _generation_key(group: str) -> str:
    return f"bugrelay:cache:generation:{group}"


def _entry_key(digest: str) -> str:
    return f"bugrelay:cache:entry:{digest}"
