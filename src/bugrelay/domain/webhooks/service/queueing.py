"""Deliveries that are queued on request: tests, runs of workflow rules, and redeliveries."""

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
    """Queue a `webhook.test`; returns the id of its delivery. A pending test is returned instead of a second one.

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
    """Queue a `workflow.run`; returns False if the company has no such enabled webhook, or it must not receive the run.

    Args:
        work: The unit of work of the run.
        company_id: The company of the webhook.
        webhook_id: The webhook.
        is_internal: Whether only the company's members and admins may see the event of the run.
        data: The ids to send.
    """
    encoded = msgspec.json.encode({**data, "is_internal": is_internal}).decode()
    values = {"id": new_id(), "type": RULE_RUN, "company_id": company_id, "webhook_id": webhook_id}
    queuing = {**values, "data": encoded, "is_internal": is_internal}
    return (await work.session.execute(_QUEUE_RUN, queuing)).first() is not None


async def redeliver(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> None:
    """Queue a delivery again, under the same event id. One with a running attempt is not changed.

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
    """The enabled webhook, for an admin of its company; locks the company's row.

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
