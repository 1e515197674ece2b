"""Hot answers: finished public bodies in this process, in front of the cache in Redis.

An answer lives for `HOT_SECONDS` from the moment its reader asked the cache, whose entries live for `TTL_SECONDS` from
the beginning of their load: together less than a second, on every process and machine, with nothing to keep coherent.
A write drops what it touches in its own process at once, and what was asked before it is not kept when it comes later.
"""

from __future__ import annotations

import gzip
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import cached_property

HOT_SECONDS = 0.45
MOST_ANSWERS = 2048
MOST_BYTES = 64 * 1024 * 1024
GZIP_LEVEL = 5

HotKey = tuple[str, bytes]
"""Path and query string as they were sent: nothing needs to be parsed to find an answer."""


@dataclass(frozen=True)
class Place:
    """Where the cache has the answer to a request: it does not change, whatever happens to the answer.

    Attributes:
        group: What a write forgets.
        digest: The entry's name in Redis.
        route: What answers it, for the log.
    """

    group: str
    digest: str
    route: str


@dataclass
class HotAnswer:
    """A body that everybody may see.

    Attributes:
        headers: All that do not depend on who asks, or on how the body is packed.
        asked_at: By `time.monotonic()`, before anything was read for it.
    """

    body: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]
    place: Place
    asked_at: float

    @cached_property
    def gzipped(self) -> bytes:
        """Compressed once, by the first who asks for it."""
        return gzip.compress(self.body, GZIP_LEVEL, mtime=0)


class HotAnswers:
    """At most `MOST_ANSWERS` and `MOST_BYTES`; the oldest go first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[HotKey, HotAnswer] = OrderedDict()
        self._places: OrderedDict[HotKey, Place] = OrderedDict()
        self._keys_of: defaultdict[str, set[HotKey]] = defaultdict(set)
        self._forgotten_at: OrderedDict[str, float] = OrderedDict()
        self._bytes = 0

    def get(self, key: HotKey) -> HotAnswer | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.asked_at + HOT_SECONDS <= time.monotonic():
            self._drop(key)
            return None
        return answer

    def place(self, key: HotKey) -> Place | None:
        """Where the cache would have it, for a request that was answered before."""
        return self._places.get(key)

    def put(self, key: HotKey, answer: HotAnswer) -> None:
        """Keep an answer, unless its group was forgotten while it was on its way: it may show what was before."""
        self._places[key] = answer.place
        self._places.move_to_end(key)
        if len(self._places) > MOST_ANSWERS:
            self._places.popitem(last=False)
        if answer.asked_at <= self._forgotten_at.get(answer.place.group, 0.0):
            return
        self._drop(key)
        self._answers[key] = answer
        self._keys_of[answer.place.group].add(key)
        self._bytes += len(answer.body)
        while len(self._answers) > MOST_ANSWERS or self._bytes > MOST_BYTES:
            self._drop(next(iter(self._answers)))

    def forget(self, *groups: str) -> None:
        """Drop the answers of these groups."""
        now = time.monotonic()
        for group in groups:
            for key in list(self._keys_of.get(group, ())):
                self._drop(key)
            self._forgotten_at[group] = now
            self._forgotten_at.move_to_end(group)
        # An answer that was asked longer ago than it may live needs no mark against it.
        while self._forgotten_at and next(iter(self._forgotten_at.values())) <= now - HOT_SECONDS:
            self._forgotten_at.popitem(last=False)

    def _drop(self, key: HotKey) -> None:
        answer = self._answers.pop(key, None)
        if answer is None:
            return
        self._bytes -= len(answer.body)
        keys = self._keys_of[answer.place.group]
        keys.discard(key)
        if not keys:
            del self._keys_of[answer.place.group]
