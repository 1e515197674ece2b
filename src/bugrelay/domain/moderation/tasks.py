"""Periodic jobs of moderation."""

from __future__ import annotations

from bugrelay.domain.moderation.repository import ended_bans
from bugrelay.domain.moderation.service.bans import lift_ended_ban
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform


async def lift_ended_bans(platform: Platform) -> None:
    """Lift bans that have ended, each in its own transaction."""
    for user_id in await ended_bans(platform.database):
        async with platform.work() as work:
            await lift_ended_ban(work, user_id)


TASKS = Tasks(periodic={"moderation.lift_ended_bans": Periodic("* * * * *", lift_ended_bans)})
