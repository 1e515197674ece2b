"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.dashboards import cache
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin
from bugrelay.infra.redis.invalidation import subscribe_invalidations


def subscribe(platform: Platform) -> None:
    subscribe_invalidations(platform.bus, platform.cache, cache.INVALIDATIONS)


PLUGIN = DomainPlugin(subscribe=subscribe)
