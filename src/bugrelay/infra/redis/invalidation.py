"""Invalidation of cache groups by facts, by a table in each domain's `cache.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from bugrelay.infra.events import EventBus
from bugrelay.infra.redis.cache import Cache

Invalidations: TypeAlias = Mapping[type, Callable[[Any], Iterable[str]]]
"""For each type of fact, a function that returns the cache groups which such a fact invalidates."""


def subscribe_invalidations(bus: EventBus, cache: Cache, table: Invalidations) -> None:
    """Invalidate, after the COMMIT and in one call, the groups of all facts of a unit of work."""

    async def invalidate(facts: Sequence[Any]) -> None:
        groups = {group: None for fact in facts for group in table[type(fact)](fact)}
        await cache.invalidate(*groups)

    bus.subscribe_afterwards(invalidate, *table)
