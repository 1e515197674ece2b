"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.bugs import cache, reassignment
from bugrelay.domain.bugs.service.erasure import forget_contact_addresses
from bugrelay.domain.bugs.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    cache.subscribe(platform)
    reassignment.subscribe(platform)
    platform.bus.subscribe_durable(AccountErased, forget_contact_addresses)


PLUGIN = DomainPlugin(
    subscribe=subscribe,
    tasks=TASKS,
)
