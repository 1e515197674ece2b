"""Webhooks are removed at once, whatever has been delivered; their deliveries go in steps.

Those of a busy webhook are more than one statement deletes within its deadline: neither an admin who removes it nor
whoever claims the company's domain anew waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import WebhookNotFound
from bugrelay.domain.webhooks.events import WebhookRemoved
from bugrelay.domain.webhooks.models import Webhook, WebhookDelivery
from bugrelay.domain.webhooks.service.audit import told_of
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
    url = await work.session.scalar(removing.returning(Webhook.url))
    if url is None:
        raise WebhookNotFound
    work.record(_removed(webhook_id, url, company_id=company_id, actor_id=actor_id))
    await forget_some_deliveries(work.session, webhook_id, jobs=jobs)


async def remove_webhooks_of(
    session: AsyncSession, actors: Mapping[UUID, UUID], *, jobs: JobQueue
) -> Sequence[WebhookRemoved]:
    """Remove all webhooks of these companies.

    Args:
        session: The transaction.
        actors: Who removes them, by company.
        jobs: Where the removal of their deliveries is asked for.
    """
    webhooks = await repository.lock_webhooks_of(session, list(actors))
    for webhook in webhooks:
        await session.delete(webhook)
        await jobs.add(session, FORGET_JOB, webhook_id=str(webhook.id))
    return [
        _removed(one.id, one.url, company_id=one.company_id, actor_id=actors[one.company_id])
        for one in webhooks
    ]


def _removed(webhook_id: UUID, url: str, *, company_id: UUID, actor_id: UUID) -> WebhookRemoved:
    former = told_of({"url": url})
    return WebhookRemoved(webhook_id=webhook_id, company_id=company_id, former=former, actor_id=actor_id)


async def forget_some_deliveries(session: AsyncSession, webhook_id: UUID, *, jobs: JobQueue) -> None:
    """Delete a thousand deliveries of a webhook that is gone, and add the job for those behind them."""
    some = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id).limit(FORGOTTEN_AT_ONCE)
    deleting = delete(WebhookDelivery).where(WebhookDelivery.id.in_(some)).returning(WebhookDelivery.id)
    if len((await session.execute(deleting)).all()) == FORGOTTEN_AT_ONCE:
        await jobs.add(session, FORGET_JOB, webhook_id=str(webhook_id))
