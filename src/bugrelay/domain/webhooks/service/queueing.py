"""What is queued because somebody asks for it: tests, and deliveries once more."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, null, or_, update

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import DeliveryNotFound, WebhookDisabled, WebhookNotFound
from bugrelay.domain.webhooks.models import PENDING, WebhookDelivery
from bugrelay.domain.webhooks.schemas import TEST, WebhookOut
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id


async def send_test(work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID) -> UUID:
    """Queue a `webhook.test`; gives its delivery. While one waits, that is the one.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound, WebhookDisabled
    """
    await lock_enabled(work, company_id, actor_id=actor_id, webhook_id=webhook_id)
    waiting = await repository.waiting_test(work, webhook_id)
    if waiting is not None:
        return waiting
    delivery_id = new_id()
    test = WebhookDelivery(
        id=delivery_id, webhook_id=webhook_id, type=TEST, state=PENDING, next_at=func.now()
    )
    work.session.add(test)
    return delivery_id


async def redeliver(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> None:
    """Queue a delivery anew, under its event's former id. One that is under way is left to it.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound, WebhookDisabled, DeliveryNotFound
    """
    await lock_enabled(work, company_id, actor_id=actor_id, webhook_id=webhook_id)
    if await repository.find_delivery(work, webhook_id=webhook_id, delivery_id=delivery_id) is None:
        raise DeliveryNotFound
    await work.session.execute(
        update(WebhookDelivery)
        .where(
            WebhookDelivery.id == delivery_id,
            WebhookDelivery.webhook_id == webhook_id,
            or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= func.now()),
        )
        .values(state=PENDING, attempts=0, next_at=func.now(), lease_id=null(), leased_until=null())
        .execution_options(synchronize_session=False)
    )


async def lock_enabled(work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID) -> WebhookOut:
    """The webhook, for an admin of its company; the company's row is locked.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound, WebhookDisabled
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    webhook = await repository.find_webhook(work, company_id=company_id, webhook_id=webhook_id)
    if webhook is None:
        raise WebhookNotFound
    if not webhook.enabled:
        raise WebhookDisabled
    return webhook
