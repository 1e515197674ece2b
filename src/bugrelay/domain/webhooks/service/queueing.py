"""What is queued because somebody asks for it: tests, runs of workflow rules, and deliveries once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, null, or_, text, update

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import DeliveryNotFound, WebhookDisabled, WebhookNotFound
from bugrelay.domain.webhooks.models import PENDING, WebhookDelivery
from bugrelay.domain.webhooks.schemas import RULE_RUN, TEST, WebhookOut
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


_QUEUE_RUN = text("""
    INSERT INTO webhook_deliveries (id, webhook_id, type, data, next_at)
    SELECT :id, w.id, :type, CAST(:data AS jsonb), now() FROM webhooks w
    WHERE w.company_id = :company_id AND w.id = :webhook_id AND w.enabled AND (w.include_internal OR NOT :is_internal)
    RETURNING id
""")


async def queue_rule_run(
    work: UnitOfWork, company_id: UUID, *, webhook_id: UUID, is_internal: bool, data: Mapping[str, Any]
) -> bool:
    """Queue a `workflow.run`; False where the company has no such webhook, or it is not to be told of it.

    Args:
        work: The change that the run belongs to.
        company_id: Whose webhook it is.
        webhook_id: The webhook.
        is_internal: Whether what the rule ran at is for the company's members and admins alone.
        data: What is told, in ids.
    """
    told = msgspec.json.encode({**data, "is_internal": is_internal}).decode()
    values = {"id": new_id(), "type": RULE_RUN, "company_id": company_id, "webhook_id": webhook_id}
    queuing = {**values, "data": told, "is_internal": is_internal}
    return (await work.session.execute(_QUEUE_RUN, queuing)).first() is not None


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
