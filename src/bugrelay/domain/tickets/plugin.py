"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.tickets import (
    event_log,
    models,  # noqa: F401 - tables
)
from bugrelay.domain.tickets.service.inheritance import refuse_new_team
from bugrelay.domain.tickets.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(refuse_new_team, CompanyClaimed)


PLUGIN = DomainPlugin(subscribe=subscribe, log=event_log.ENTRIES, tasks=TASKS)
