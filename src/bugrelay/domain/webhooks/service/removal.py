"""Webhooks are removed at once, whatever has been delivered; their deliveries go in steps.

Those of a busy webhook are more than one statement deletes within its deadline: neither an admin who removes it nor
whoever claims the company's domain anew waits for them.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import WebhookNotFound
from bugrelay.domain.webhooks.models import Webhook, WebhookDelivery
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue

FORGET_JOB = "webhooks.forget_deliveries"
FORGOTTEN_AT_ONCE = 1000


async def remove_webhook(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, jobs: JobQueue
) -> None:
    """Remove a webhook with its deliveries; what is on its way arrives.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    removing = delete(Webhook).where(Webhook.id == webhook_id, Webhook.company_id == company_id)
    if (await work.session.execute(removing.returning(Webhook.id))).first() is None:
        raise WebhookNotFound
    await forget_some_deliveries(work.session, webhook_id, jobs=jobs)


async def remove_webhooks_of(session: AsyncSession, company_ids: list[UUID], *, jobs: JobQueue) -> None:
    """Remove all webhooks of these companies."""
    webhook_ids = await repository.lock_webhooks_of(session, company_ids)
    await session.execute(delete(Webhook).where(Webhook.id.in_(webhook_ids)))
    for webhook_id in webhook_ids:
        await jobs.add(session, FORGET_JOB, webhook_id=str(webhook_id))


async def forget_some_deliveries(session: AsyncSession, webhook_id: UUID, *, jobs: JobQueue) -> None:
    """Delete a thousand deliveries of a webhook that is gone, and add the job for those behind them."""
    some = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id).limit(FORGOTTEN_AT_ONCE)
    deleting = delete(WebhookDelivery).where(WebhookDelivery.id.in_(some)).returning(WebhookDelivery.id)
    if len((await session.execute(deleting)).all()) == FORGOTTEN_AT_ONCE:
        await jobs.add(session, FORGET_JOB, webhook_id=str(webhook_id))
