"""Registers the domain with the application."""

from __future__ import annotations

from bugrelay.domain.bugs.events import ActedAsAdmin
from bugrelay.domain.companies.events import ApplicationAssigned, CompanyClaimed
from bugrelay.domain.moderation.service.audit import audit_acts
from bugrelay.domain.moderation.service.companies import audit_assignments, audit_claims
from bugrelay.domain.moderation.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(audit_acts, ActedAsAdmin)
    platform.bus.subscribe_durable(audit_assignments, ApplicationAssigned)
    platform.bus.subscribe_durable(audit_claims, CompanyClaimed)


PLUGIN = DomainPlugin(
    subscribe=subscribe,
    tasks=TASKS,
)
