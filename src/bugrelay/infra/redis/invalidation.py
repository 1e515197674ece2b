"""Which facts drop what of the cache: a table in the `cache.py` of each domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from bugrelay.infra.events import EventBus
from bugrelay.infra.redis.cache import Cache

Invalidations: TypeAlias = Mapping[type, Callable[[Any], Iterable[str]]]
"""For each type of fact, the groups of the cache that one of it drops."""


def subscribe_invalidations(bus: EventBus, cache: Cache, table: Invalidations) -> None:
    """Drop, behind the COMMIT and in one call, what all facts of a unit of work have changed."""

    async def invalidate(facts: Sequence[Any]) -> None:
        groups = {group: None for fact in facts for group in table[type(fact)](fact)}
        await cache.invalidate(*groups)

    bus.subscribe_afterwards(invalidate, *table)
