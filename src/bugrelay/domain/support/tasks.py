"""What support reports ask of workers: the confirmation is mailed, and what was kept for a while goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import structlog

from bugrelay.domain.support.repository import find_unconfirmed
from bugrelay.domain.support.service.confirmation import MAIL_JOB, note_sent
from bugrelay.domain.support.service.forgetting import BATCH, forget_captures, forget_screenshots
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform

log = structlog.get_logger()


async def mail_confirmation(platform: Platform, *, company_id: str, ticket_id: str) -> None:
    """Tell the reporter that their report has arrived; nothing where that was done."""
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
        await note_sent(work, **key)


async def forget_old(platform: Platform) -> None:
    """Captures and screenshots that are older than CAPTURE_DAYS, and uploads that no report has had for a day."""
    older_than = timedelta(days=platform.settings.capture_days)
    for name, forget in (("captures", forget_captures), ("screenshots", forget_screenshots)):
        forgotten = await _all(platform, forget, older_than=older_than)
        if forgotten:
            log.info("support_data_forgotten", kind=name, count=forgotten)


Forget = Callable[..., Awaitable[int]]


async def _all(platform: Platform, forget: Forget, *, older_than: timedelta) -> int:
    """In batches, each in a transaction of its own; gives how many there were."""
    total, last = 0, BATCH
    while last == BATCH:
        async with platform.work() as work:
            last = await forget(work, older_than=older_than)
        total += last
    return total


TASKS = Tasks(
    by_name={MAIL_JOB: mail_confirmation},
    periodic={"support.forget_old": Periodic("33 * * * *", forget_old)},
)
