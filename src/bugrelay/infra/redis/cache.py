"""Bytes that everybody may see, kept for less than a second and not served once what they show has changed.

Entries belong to a group (one list, one bug). A group has a generation, the whole cache an epoch: random
tokens in Redis. An entry carries both as they were before its load began and counts only while they are still
the same, so a slow reader can only fill a dead entry. Tokens are random, not counted up, so that a generation
which expired or was flushed never comes back to an old value; to forget is to delete one, and the next reader
makes another.
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

# With the cache of each process in front of it (infra/redis/local_cache.py, 0.45 s) everybody sees a change within
# 1 second, even one that the cache was not told (a kill behind the COMMIT).
TTL_SECONDS = 0.5
MAX_ENTRY_BYTES = 1024 * 1024
# Any value is right; a short one keeps the tokens of rarely read groups from filling Redis.
GENERATION_SECONDS = 10

_EPOCH_KEY = "bugrelay:cache:epoch"

# KEYS: epoch, generation. ARGV: a fresh token, the life of a generation in seconds. Reply: the stamp that holds now.
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
    """A load under way, for all who ask meanwhile."""

    began: float
    task: asyncio.Task[bytes]


_LoadKey = tuple[str, str, bytes | None]


class Cache:
    """A cache in Redis with one loader per key and process; while Redis is away only the latter."""

    def __init__(self, redis: RedisClient, *, ttl_seconds: float = TTL_SECONDS) -> None:
        """Belongs before `redis.start()`."""
        self._redis = redis
        self._ttl_seconds = ttl_seconds
        self._loads: dict[_LoadKey, _InFlightLoad] = {}
        self.local = LocalCache()
        # A call that fails ends its connection, and on a new one this comes first. So what could not be
        # forgotten, or what a restarted server remembers, is dead, without a list of failed calls.
        redis.on_connect("DEL", _EPOCH_KEY)

    @staticmethod
    def digest(group: str, key: str) -> str:
        """The name of an entry: short, and of the same length for any key."""
        text = f"{group}\0{key}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=20).hexdigest()

    async def stored(self, group: str, digest: str) -> bytes | None:
        """The entry, if Redis has it and it is valid."""
        _, entry = await self._read(group, digest)
        return entry

    async def get_or_load(
        self, *, group: str, key: str, load: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """The entry and True, or what `load` gives and False.

        Args:
            group: What `forget` names, such as `bugs` or `bug:<id>`.
            key: Canonical text of everything that the bytes depend on; of any length.
            load: Reads the database. It runs in a task of its own: a caller that is cancelled takes nothing
                from the others, an error reaches all who wait and is not kept.
        """
        digest = self.digest(group, key)
        stamp, body = await self._read(group, digest)
        if body is not None:
            return body, True
        in_flight = self._joinable((group, digest, stamp)) or self._start((group, digest, stamp), load)
        return await asyncio.shield(in_flight.task), False

    async def invalidate(self, *groups: str) -> None:
        """What was loaded before this call is given to nobody who asks after it; belongs behind the COMMIT.

        Never raises for Redis: without it the loads of this process are still forgotten, and the rest at the
        next opening, before anything is read. A caller that is cancelled has still forgotten.
        """
        self._loads = {key: in_flight for key, in_flight in self._loads.items() if key[0] not in groups}
        self.local.invalidate(*groups)
        if not groups:
            return
        try:
            with suppress(RedisUnavailable):
                await self._redis.run("DEL", *(_generation_key(group) for group in groups))
        finally:
            self.local.invalidate(
                *groups
            )  # whoever asked before Redis knew may have been given the old entry

    def keep_unchanged(self, since: float, until: float) -> None:
        """Nothing was written to the database between these moments; what Redis gave may be a little older."""
        self.local.keep_unchanged(since + self._ttl_seconds, until)

    async def _read(self, group: str, digest: str) -> tuple[bytes | None, bytes | None]:
        """The stamp (None without Redis) and the entry if it is valid; one round trip where there is an entry."""
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
        """The load to wait for; one as old as an entry may get is too old for a reader who comes now."""
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
                task.exception()  # Marked as seen: the callers may all be gone.

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
