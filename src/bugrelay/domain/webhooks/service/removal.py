"""Webhooks are removed at once, and their deliveries in batches.

A busy webhook has more deliveries than one statement can delete within its deadline, so neither an admin who removes it
nor a user who claims the company's domain waits for that.
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
from bugrelay.domain.webhooks.service.audit import audited
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue

DELETE_JOB = "webhooks.delete_deliveries"
DELETED_AT_ONCE = 1000


async def remove_webhook(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, jobs: JobQueue
) -> None:
    """Remove a webhook with its deliveries; a running attempt is not stopped.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    removing = delete(Webhook).where(Webhook.id == webhook_id, Webhook.company_id == company_id)
    url = await work.session.scalar(removing.returning(Webhook.url))
    if url is None:
        raise WebhookNotFound
    work.record(_removed(webhook_id, url, company_id=company_id, actor_id=actor_id))
    await delete_some_deliveries(work.session, webhook_id, jobs=jobs)


async def remove_webhooks_of(
    session: AsyncSession, actors: Mapping[UUID, UUID], *, jobs: JobQueue
) -> Sequence[WebhookRemoved]:
    """Remove all webhooks of these companies.

    Args:
        session: The session of the transaction.
        actors: The users who remove them, by company.
        jobs: The queue for the deletion of their deliveries.
    """
    webhooks = await repository.lock_webhooks_of(session, list(actors))
    for webhook in webhooks:
        await session.delete(webhook)
        await jobs.add(session, DELETE_JOB, webhook_id=str(webhook.id))
    return [
        _removed(one.id, one.url, company_id=one.company_id, actor_id=actors[one.company_id])
        for one in webhooks
    ]


def _removed(webhook_id: UUID, url: str, *, company_id: UUID, actor_id: UUID) -> WebhookRemoved:
    former = audited({"url": url})
    return WebhookRemoved(webhook_id=webhook_id, company_id=company_id, former=former, actor_id=actor_id)


async def delete_some_deliveries(session: AsyncSession, webhook_id: UUID, *, jobs: JobQueue) -> None:
    """Delete a thousand deliveries of a removed webhook, and add a job for the rest."""
    some = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id).limit(DELETED_AT_ONCE)
    deleting = delete(WebhookDelivery).where(WebhookDelivery.id.in_(some)).returning(WebhookDelivery.id)
    if len((await session.execute(deleting)).all()) == DELETED_AT_ONCE:
        await jobs.add(session, DELETE_JOB, webhook_id=str(webhook_id))
