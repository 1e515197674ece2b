"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.files.service import subscribe_storage
from bugrelay.domain.files.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    subscribe_storage(platform.bus, platform.storage)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS)
