"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.companies import event_log
from bugrelay.domain.companies.service.team import delete_memberships
from bugrelay.domain.companies.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(delete_memberships, AccountErased)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS, log=event_log.ENTRIES)
