"""Registers the domain with the application."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.webhooks.events import WebhookRemoved
from bugrelay.domain.webhooks.service.audit import AUDITED, audit_acts
from bugrelay.domain.webhooks.service.events import queue_events
from bugrelay.domain.webhooks.service.removal import remove_webhooks_of
from bugrelay.domain.webhooks.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    async def remove_webhooks_of_former_teams(
        session: AsyncSession, claimed: Sequence[CompanyClaimed]
    ) -> Sequence[WebhookRemoved]:
        """A new team neither sees the former team's webhooks nor sends events to them."""
        new = {claim.company_id: claim.actor_id for claim in claimed if claim.starts_new_team}
        return await remove_webhooks_of(session, new, jobs=platform.jobs) if new else ()

    platform.bus.subscribe_durable(remove_webhooks_of_former_teams, CompanyClaimed)
    platform.bus.subscribe_durable(audit_acts, *AUDITED)


def consumers(_platform: Platform) -> Sequence[Consumer]:
    return (Consumer("webhooks", queue_events),)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS, consumers=consumers)
