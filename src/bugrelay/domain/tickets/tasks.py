"""Jobs of tickets: counts, kept totals, daily statistics, deletion of abandoned uploads and old logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from bugrelay.domain.files.tasks import UNFINISHED_FOR
from bugrelay.domain.tickets.repository.reports import companies_with_events
from bugrelay.domain.tickets.search import counting
from bugrelay.domain.tickets.search.totals import COUNT_JOB, KEPT
from bugrelay.domain.tickets.service.attachments import delete_unfinished
from bugrelay.domain.tickets.service.statistics import fill_daily_stats
from bugrelay.infra.db.slow_connection import slow_connection
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform

log = structlog.get_logger()

BATCH = 50_000  # changes a transaction
LOG_KEPT_FOR = timedelta(hours=1)  # far longer than infra/incremental_counts.py carries a total forward


async def fold_counts(platform: Platform) -> None:
    """Fold the log of changes into the counts of tickets, so that reading them stays fast."""
    full = True
    while full:
        async with platform.work() as work:
            full = (
                await work.session.scalar(text("SELECT ticket_counts_fold(:most)"), {"most": BATCH}) == BATCH
            )


async def count_days(platform: Platform) -> None:
    """Bring the daily statistics of every company up to now, one a transaction."""
    async with slow_connection(platform.settings.database_url, name="bugrelay-days") as connection:
        for company_id in await companies_with_events(connection):
            await fill_daily_stats(connection, company_id, moment=datetime.now(UTC))


async def count_total(platform: Platform, *, key: str) -> None:
    """Count a total that a reader needs."""
    await KEPT.count_once(key, database_url=platform.settings.database_url, counts=platform.counts)


async def keep_totals(platform: Platform) -> None:
    """Update the kept totals."""
    await counting.keep_totals(database_url=platform.settings.database_url, counts=platform.counts)


async def clean_up(platform: Platform) -> None:
    """Delete the log of changes that no total needs any more."""
    async with platform.work() as work:
        await work.session.execute(
            text("DELETE FROM ticket_search_changes WHERE at < now() - CAST(:kept AS interval)"),
            {"kept": LOG_KEPT_FOR},
        )


async def delete_unfinished_uploads(platform: Platform) -> None:
    """Delete uploads that were not completed within a day; their bytes are deleted as orphans."""
    async with platform.work() as work:
        deleted = await delete_unfinished(work, older_than=UNFINISHED_FOR)
    if deleted:
        log.info("unfinished_uploads_deleted", uploads=deleted)


TASKS = Tasks(
    by_name={COUNT_JOB: count_total},
    periodic={
        "tickets.keep_totals": Periodic("* * * * *", keep_totals),
        "tickets.fold_counts": Periodic("* * * * *", fold_counts),
        "tickets.count_days": Periodic("*/30 * * * *", count_days),
        "tickets.delete_unfinished_uploads": Periodic("23 * * * *", delete_unfinished_uploads),
        "tickets.clean_up": Periodic("*/10 * * * *", clean_up),
    },
)
