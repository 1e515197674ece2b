"""Registers the domain with the application."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.rules.events import WorkflowRemoved
from bugrelay.domain.rules.service.audit import AUDITED, audit_acts
from bugrelay.domain.rules.service.removal import remove_rules_of
from bugrelay.domain.rules.service.running import BATCH, CONSUMER, run_rules_with
from bugrelay.domain.rules.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    async def remove_rules_of_previous_teams(
        session: AsyncSession, claimed: Sequence[CompanyClaimed]
    ) -> Sequence[WorkflowRemoved]:
        """A new team does not inherit the rules of the previous one."""
        new = {claim.company_id: claim.actor_id for claim in claimed if claim.starts_new_team}
        return await remove_rules_of(session, new) if new else ()

    platform.bus.subscribe_durable(remove_rules_of_previous_teams, CompanyClaimed)
    platform.bus.subscribe_durable(audit_acts, *AUDITED)


def consumers(platform: Platform) -> Sequence[Consumer]:
    return (Consumer(CONSUMER, run_rules_with(platform.jobs), BATCH),)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS, consumers=consumers)
