"""Finished public responses in the memory of this process, in front of the cache in Redis.

A response lives for `LOCAL_SECONDS` from the moment its reader asked the cache, whose entries live for `TTL_SECONDS`
from the beginning of their load: together less than a second, on every process and machine, with nothing to keep
coherent. A write invalidates what it touches in its own process at once, and what was asked before it is not kept when
it comes later. While nothing at all is written to the database (`infra/db/changes.py`), a response stays as good as a
new one.
"""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import cached_property

LOCAL_SECONDS = 0.45
UNCHANGED_SECONDS = 10.0  # at most, while nothing is written: ages count in a ranking
MAX_RESPONSES = 2048
MAX_BYTES = 64 * 1024 * 1024
GZIP_LEVEL = 5

RequestKey = tuple[str, bytes]
"""Path and query string as they were sent: nothing needs to be parsed to find a response."""


@dataclass(frozen=True)
class CacheKey:
    """Where the cache has the response to a request: it does not change, whatever happens to the response.

    Attributes:
        group: What a write invalidates.
        digest: The entry's name in Redis.
        route: The path template that serves it, for the log.
        media_type: Of the body.
    """

    group: str
    digest: str
    route: str
    media_type: str = "application/json"


@dataclass
class CachedResponse:
    """A body that everybody may see.

    Attributes:
        headers: All that do not depend on who asks, or on how the body is packed.
        asked_at: By `time.monotonic()`, before anything was read for it.
    """

    body: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]
    cache_key: CacheKey
    asked_at: float

    @cached_property
    def gzipped(self) -> bytes:
        """Compressed once, by the first who asks for it."""
        return gzip.compress(self.body, GZIP_LEVEL, mtime=0)


class LocalCache:
    """At most `MAX_RESPONSES` and `MAX_BYTES`; the oldest go first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[RequestKey, CachedResponse] = OrderedDict()
        self._cache_keys: OrderedDict[RequestKey, CacheKey] = OrderedDict()
        self._keys_of: defaultdict[str, set[RequestKey]] = defaultdict(set)
        self._invalidated_at: OrderedDict[str, float] = OrderedDict()
        self._unchanged = (0.0, 0.0)
        self._bytes = 0

    def get(self, key: RequestKey) -> CachedResponse | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        if self._good_until(answer) <= time.monotonic():
            self._drop(key)
            return None
        return answer

    def keep_unchanged(self, since: float, until: float) -> None:
        """Nothing was written between these moments: what was asked for then is as good as asked for at the second."""
        self._unchanged = (since, until)

    def cache_key(self, key: RequestKey) -> CacheKey | None:
        """Where the cache would have it, for a request that was answered before."""
        return self._cache_keys.get(key)

    def put(self, key: RequestKey, answer: CachedResponse) -> None:
        """Keep an answer, unless its group was forgotten while it was on its way: it may show what was before."""
        self._cache_keys[key] = answer.cache_key
        self._cache_keys.move_to_end(key)
        if len(self._cache_keys) > MAX_RESPONSES:
            self._cache_keys.popitem(last=False)
        if answer.asked_at <= self._invalidated_at.get(answer.cache_key.group, 0.0):
            return
        self._drop(key)
        self._answers[key] = answer
        self._keys_of[answer.cache_key.group].add(key)
        self._bytes += len(answer.body)
        while len(self._answers) > MAX_RESPONSES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._answers)))

    def invalidate(self, *groups: str) -> None:
        """Drop the answers of these groups."""
        now = time.monotonic()
        for group in groups:
            for key in list(self._keys_of.get(group, ())):
                self._drop(key)
            self._invalidated_at[group] = now
            self._invalidated_at.move_to_end(group)
        # An answer that was asked longer ago than it may live needs no mark against it.
        while self._invalidated_at and next(iter(self._invalidated_at.values())) <= now - LOCAL_SECONDS:
            self._invalidated_at.popitem(last=False)

    def _good_until(self, answer: CachedResponse) -> float:
        since, until = self._unchanged
        asked_at = answer.asked_at
        if asked_at < since:
            return asked_at + LOCAL_SECONDS
        return min(max(asked_at, until) + LOCAL_SECONDS, asked_at + UNCHANGED_SECONDS)

    def _drop(self, key: RequestKey) -> None:
        answer = self._answers.pop(key, None)
        if answer is None:
            return
        self._bytes -= len(answer.body)
        keys = self._keys_of[answer.cache_key.group]
        keys.discard(key)
        if not keys:
            del self._keys_of[answer.cache_key.group]
