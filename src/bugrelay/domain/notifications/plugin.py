"""Registers the domain with the application."""

from __future__ import annotations

from collections.abc import Sequence

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.notifications.service.announcing import CONSUMER, announce_to
from bugrelay.domain.notifications.service.erasure import erase_followers
from bugrelay.domain.notifications.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(erase_followers, AccountErased)


def consumers(platform: Platform) -> Sequence[Consumer]:
    return (Consumer(CONSUMER, announce_to(platform.jobs)),)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS, consumers=consumers)
