"""The confirmation mail of a report: queued with the report, sent by a job."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support.models import SupportReport
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue

MAIL_JOB: Final = "support.mail_confirmation"


async def queue_confirmation(work: UnitOfWork, tenant: Tenant, *, ticket_id: UUID, jobs: JobQueue) -> None:
    """Queue the mail in the transaction of the report."""
    await jobs.add(
        work.session,
        MAIL_JOB,
        queue=MAIL_QUEUE,
        company_id=str(tenant.company_id),
        ticket_id=str(ticket_id),
    )


async def record_sent(work: UnitOfWork, *, company_id: UUID, ticket_id: UUID) -> None:
    """Record that the mail server has accepted the mail."""
    await work.session.execute(
        update(SupportReport)
        .where(
            SupportReport.company_id == company_id,
            SupportReport.ticket_id == ticket_id,
            SupportReport.email_sent_at.is_(None),
        )
        .values(email_sent_at=func.now())
        .execution_options(synchronize_session=False)
    )


async def record_public_issue(work: UnitOfWork, *, company_id: UUID, ticket_id: UUID, url: str) -> None:
    """Record the report's public issue, for a confirmation that is not sent yet."""
    await work.session.execute(
        update(SupportReport)
        .where(SupportReport.company_id == company_id, SupportReport.ticket_id == ticket_id)
        .values(public_issue_url=url)
        .execution_options(synchronize_session=False)
    )
