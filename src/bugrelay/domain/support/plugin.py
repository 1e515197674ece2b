"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.support.service.retention import erase_reporters
from bugrelay.domain.support.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(erase_reporters, AccountErased)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS)
