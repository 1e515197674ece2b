"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.bugs.events import ActedAsAdmin
from bugrelay.domain.companies.events import ApplicationLinked, CompanyClaimed
from bugrelay.domain.moderation.service.audit import audit_act
from bugrelay.domain.moderation.service.companies import audit_claim, audit_link
from bugrelay.domain.moderation.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(ActedAsAdmin, audit_act)
    platform.bus.subscribe_durable(ApplicationLinked, audit_link)
    platform.bus.subscribe_durable(CompanyClaimed, audit_claim)


PLUGIN = DomainPlugin(
    subscribe=subscribe,
    tasks=TASKS,
)
