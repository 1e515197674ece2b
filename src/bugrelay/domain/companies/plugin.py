"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.companies.service.team import forget_person
from bugrelay.domain.companies.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(AccountErased, forget_person)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS)
