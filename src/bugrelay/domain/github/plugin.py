"""Registers the domain with the application."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.events import CompanyClaimed
from bugrelay.domain.events.consumers import Consumer
from bugrelay.domain.github import (
    event_log,
    models,  # noqa: F401 - tables
)
from bugrelay.domain.github.events import GitHubDisconnected
from bugrelay.domain.github.service.audit import AUDITED, audit_acts
from bugrelay.domain.github.service.connections import remove_connections_of
from bugrelay.domain.github.service.queueing import queue_pushes
from bugrelay.domain.github.tasks import TASKS
from bugrelay.infra.platform import Platform
from bugrelay.infra.plugin import DomainPlugin


def subscribe(platform: Platform) -> None:
    async def disconnect_former_teams(
        session: AsyncSession, claimed: Sequence[CompanyClaimed]
    ) -> Sequence[GitHubDisconnected]:
        """Disconnect a company that a new team takes over: its reports must not go to the repository of the previous
        one."""
        new = {claim.company_id: claim.actor_id for claim in claimed if claim.starts_new_team}
        return await remove_connections_of(session, new) if new else ()

    platform.bus.subscribe_durable(disconnect_former_teams, CompanyClaimed)
    platform.bus.subscribe_durable(audit_acts, *AUDITED)


def consumers(_platform: Platform) -> Sequence[Consumer]:
    return (Consumer("github", queue_pushes),)


PLUGIN = DomainPlugin(subscribe=subscribe, tasks=TASKS, log=event_log.ENTRIES, consumers=consumers)
