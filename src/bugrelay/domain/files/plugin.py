"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.files.events import FileReleased
from bugrelay.domain.files.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    async def delete_file(event: FileReleased) -> None:
        await platform.storage.delete(event.storage_key)

    platform.bus.subscribe_afterwards(FileReleased, delete_file)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS)
