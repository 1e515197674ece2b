"""Jobs of support reports: confirmation mails, and deletion of old captures and screenshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import structlog

from bugrelay.domain.support.repository import find_unconfirmed
from bugrelay.domain.support.service.confirmation import MAIL_JOB, record_sent
from bugrelay.domain.support.service.retention import BATCH, delete_old_captures, delete_old_screenshots
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform

log = structlog.get_logger()


async def mail_confirmation(platform: Platform, *, company_id: str, ticket_id: str) -> None:
    """Mail the reporter a confirmation; nothing where it was sent already."""
    key = {"company_id": UUID(company_id), "ticket_id": UUID(ticket_id)}
    report = await find_unconfirmed(platform.database, **key)
    if report is None:
        return
    mail = platform.mailer.write(
        "support_report",
        mail_id=mail_id("support_report", ticket_id),
        to=report.email,
        reply_to_support=True,
        name=report.name,
        ticket_number=report.ticket_number,
        title=report.title,
        category=report.category.replace("_", " "),
        severity=report.severity,
        created_at=report.created_at,
        public_issue_url=report.public_issue_url,
    )
    await platform.mailer.send(mail)
    async with platform.work() as work:
        await record_sent(work, **key)


async def delete_old(platform: Platform) -> None:
    """Delete captures and screenshots older than CAPTURE_DAYS, and uploads that no report has used within a day."""
    older_than = timedelta(days=platform.settings.capture_days)
    for name, delete in (("captures", delete_old_captures), ("screenshots", delete_old_screenshots)):
        deleted = await _delete_all(platform, delete, older_than=older_than)
        if deleted:
            log.info("support_data_deleted", kind=name, count=deleted)


DeleteBatch = Callable[..., Awaitable[int]]


async def _delete_all(platform: Platform, delete: DeleteBatch, *, older_than: timedelta) -> int:
    """Delete in batches, each in its own transaction; returns how many."""
    total, last = 0, BATCH
    while last == BATCH:
        async with platform.work() as work:
            last = await delete(work, older_than=older_than)
        total += last
    return total


TASKS = Tasks(
    by_name={MAIL_JOB: mail_confirmation},
    periodic={"support.delete_old": Periodic("33 * * * *", delete_old)},
)
