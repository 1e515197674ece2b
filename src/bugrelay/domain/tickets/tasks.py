"""What workers do for tickets."""

from __future__ import annotations

import structlog

from bugrelay.domain.files.tasks import UNFINISHED_FOR
from bugrelay.domain.tickets.service.attachments import delete_unfinished
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform

log = structlog.get_logger()


async def forget_unfinished_uploads(platform: Platform) -> None:
    """Those that nobody completed within a day; what was put for them goes with the files that nobody took over."""
    async with platform.work() as work:
        forgotten = await delete_unfinished(work, older_than=UNFINISHED_FOR)
    if forgotten:
        log.info("unfinished_uploads_forgotten", uploads=forgotten)


TASKS = Tasks(
    periodic={"tickets.forget_unfinished_uploads": Periodic("23 * * * *", forget_unfinished_uploads)}
)
