"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.bugs import cache, event_log, reassignment
from bugrelay.domain.bugs.service.erasure import erase_contact_addresses
from bugrelay.domain.bugs.similar import models  # noqa: F401 - tables that only SQL reads and writes
from bugrelay.domain.bugs.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin
from bugrelay.infra.redis.invalidation import subscribe_invalidations


def subscribe(platform: Platform) -> None:
    reassignment.subscribe(platform.bus, platform.jobs)
    platform.bus.subscribe_durable(erase_contact_addresses, AccountErased)
    subscribe_invalidations(platform.bus, platform.cache, cache.INVALIDATIONS)


PLUGIN = DomainPlugin(
    subscribe=subscribe,
    tasks=TASKS,
    log=event_log.ENTRIES,
)
