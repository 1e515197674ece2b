"""Finished public responses in the memory of this process, in front of the cache in Redis.

A response is valid for `LOCAL_SECONDS` from the time of the request that read it, and an entry of Redis for
`TTL_SECONDS` from the beginning of its load: together less than a second, so processes need not invalidate each other's
responses. A write invalidates the groups of its facts in its own process at once, and responses that were requested
before it are not stored after it. While nothing is written to the database (`infra/db/changes.py`), responses stay
valid.
"""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import cached_property

LOCAL_SECONDS = 0.45
UNCHANGED_SECONDS = 10.0  # the maximum while nothing is written, since rankings depend on the current time
MAX_RESPONSES = 2048
MAX_BYTES = 64 * 1024 * 1024
GZIP_LEVEL = 5

RequestKey = tuple[str, bytes]
"""Path and query string as they were sent, so that a response is found without parsing them."""


@dataclass(frozen=True)
class CacheKey:
    """The key of a request's response in the cache, which never changes.

    Attributes:
        group: The group by which it is invalidated.
        digest: The name of the entry in Redis.
        route: The path template of the route, for the log.
        media_type: The media type of the body.
    """

    group: str
    digest: str
    route: str
    media_type: str = "application/json"


@dataclass
class CachedResponse:
    """A public response.

    Attributes:
        body: The body, not compressed.
        etag: The ETag of the body.
        headers: All headers that depend neither on the viewer nor on the encoding of the body.
        cache_key: Its key in the cache.
        asked_at: The time by `time.monotonic()` before anything was read for it.
    """

    body: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]
    cache_key: CacheKey
    asked_at: float

    @cached_property
    def gzipped(self) -> bytes:
        """The compressed body, computed on first use."""
        return gzip.compress(self.body, GZIP_LEVEL, mtime=0)


class LocalCache:
    """At most `MAX_RESPONSES` with `MAX_BYTES` in all; the oldest are evicted first."""

    def __init__(self) -> None:
        self._responses: OrderedDict[RequestKey, CachedResponse] = OrderedDict()
        self._cache_keys: OrderedDict[RequestKey, CacheKey] = OrderedDict()
        self._keys_of: defaultdict[str, set[RequestKey]] = defaultdict(set)
        self._invalidated_at: OrderedDict[str, float] = OrderedDict()
        self._unchanged = (0.0, 0.0)
        self._bytes = 0

    def get(self, key: RequestKey) -> CachedResponse | None:
        """The response to a request, or None if there is no valid one."""
        response = self._responses.get(key)
        if response is None:
            return None
        if self._valid_until(response) <= time.monotonic():
            self._drop(key)
            return None
        return response

    def keep_unchanged(self, since: float, until: float) -> None:
        """Nothing was written between these times: responses requested in between are as valid as if requested at the
        end."""
        self._unchanged = (since, until)

    def cache_key(self, key: RequestKey) -> CacheKey | None:
        """The cache key of a request, if it was served before."""
        return self._cache_keys.get(key)

    def put(self, key: RequestKey, response: CachedResponse) -> None:
        """Store a response, unless its group was invalidated after it was requested: it may be stale."""
        self._cache_keys[key] = response.cache_key
        self._cache_keys.move_to_end(key)
        if len(self._cache_keys) > MAX_RESPONSES:
            self._cache_keys.popitem(last=False)
        if response.asked_at <= self._invalidated_at.get(response.cache_key.group, 0.0):
            return
        self._drop(key)
        self._responses[key] = response
        self._keys_of[response.cache_key.group].add(key)
        self._bytes += len(response.body)
        while len(self._responses) > MAX_RESPONSES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._responses)))

    def invalidate(self, *groups: str) -> None:
        """Drop the responses of these groups."""
        now = time.monotonic()
        for group in groups:
            for key in list(self._keys_of.get(group, ())):
                self._drop(key)
            self._invalidated_at[group] = now
            self._invalidated_at.move_to_end(group)
        # A response that was requested earlier than that has expired anyway.
        while self._invalidated_at and next(iter(self._invalidated_at.values())) <= now - LOCAL_SECONDS:
            self._invalidated_at.popitem(last=False)

    def _valid_until(self, response: CachedResponse) -> float:
        since, until = self._unchanged
        asked_at = response.asked_at
        if asked_at < since:
            return asked_at + LOCAL_SECONDS
        return min(max(asked_at, until) + LOCAL_SECONDS, asked_at + UNCHANGED_SECONDS)

    def _drop(self, key: RequestKey) -> None:
        response = self._responses.pop(key, None)
        if response is None:
            return
        self._bytes -= len(response.body)
        keys = self._keys_of[response.cache_key.group]
        keys.discard(key)
        if not keys:
            del self._keys_of[response.cache_key.group]
