"""Jobs of webhooks: deliver, mail admins about a disabled webhook, delete old deliveries, re-encrypt secrets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import and_, delete, func, or_, select

from bugrelay.domain.events.repository import events_after
from bugrelay.domain.webhooks import payload, repository
from bugrelay.domain.webhooks.dispatcher import Dispatcher
from bugrelay.domain.webhooks.errors import NotToBeSent
from bugrelay.domain.webhooks.models import PENDING, Webhook, WebhookDelivery
from bugrelay.domain.webhooks.repository import Secrets
from bugrelay.domain.webhooks.schemas import ClaimedDelivery
from bugrelay.domain.webhooks.service.delivering import MAIL_JOB
from bugrelay.domain.webhooks.service.events import REPLAY_JOB, replay_some
from bugrelay.domain.webhooks.service.removal import DELETE_JOB, delete_some_deliveries
from bugrelay.domain.webhooks.service.webhooks import FORMER_PURPOSE, PURPOSE
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.reencryption import reencrypt_rows

log = structlog.get_logger()

KEPT_FOR = timedelta(days=30)
PENDING_KEPT_FOR = timedelta(days=34)  # one queued again on its last day is retried for more than three
AT_ONCE = 5000  # rows, so that each statement ends within its deadline
NOT_INTERNAL = "internal events are not sent to this webhook any more"


async def deliver(platform: Platform, stopping: asyncio.Event) -> None:
    """Send due deliveries until the worker stops."""

    async def load_body(delivery: ClaimedDelivery) -> bytes:
        if delivery.data is not None:
            if delivery.data["is_internal"] and not delivery.include_internal:
                raise NotToBeSent(NOT_INTERNAL)
            return payload.run_body(delivery, delivery.data)
        if delivery.stream is None or delivery.seq is None:
            return payload.test_body(delivery)
        found = await events_after(platform.database, delivery.stream, delivery.seq - 1, limit=1)
        if not found or found[0].seq != delivery.seq:
            raise NotToBeSent("the event is no longer there")
        if found[0].visibility == "internal" and not delivery.include_internal:
            raise NotToBeSent(NOT_INTERNAL)
        return payload.event_body(found[0])

    dispatcher = Dispatcher(
        platform.work,
        load_body=load_body,
        egress=platform.egress,
        encryption=platform.encryption,
        jobs=platform.jobs,
    )
    await dispatcher.run(stopping)


async def mail_disabled(platform: Platform, *, webhook_id: str, user_id: str, occasion: str) -> None:
    """Mail an admin that a webhook was disabled; idempotent.

    Does nothing if it is enabled again, or if the address has reached its limit of mails.
    """
    ids = {"webhook_id": UUID(webhook_id), "user_id": UUID(user_id)}
    disabled = await repository.disabled_webhook(platform.database, **ids)
    if disabled is None or await platform.mail_limits.take(disabled.email):
        return
    mail = platform.mailer.write(
        "webhook_disabled",
        mail_id=mail_id("webhook_disabled", webhook_id, user_id, occasion),
        to=disabled.email,
        username=disabled.username,
        domain=disabled.domain,
        url=disabled.url,
        reason=disabled.disabled_reason,
    )
    await platform.mailer.send(mail)


async def delete_old_deliveries(platform: Platform) -> None:
    """Delete deliveries that were queued 30 days ago, with their attempts; pending ones after 34 days."""
    queued = WebhookDelivery.created_at
    is_old = or_(
        and_(queued < func.now() - KEPT_FOR, WebhookDelivery.state != PENDING),
        queued < func.now() - PENDING_KEPT_FOR,
    )
    # Locked rows are skipped: they are being queued again at this moment.
    old = select(WebhookDelivery.id).where(is_old).limit(AT_ONCE).with_for_update(skip_locked=True)
    deleted = AT_ONCE
    while deleted == AT_ONCE:
        async with platform.work() as work:
            removing = delete(WebhookDelivery).where(WebhookDelivery.id.in_(old))
            deleted = len((await work.session.execute(removing.returning(WebhookDelivery.id))).all())


async def reencrypt_secrets(platform: Platform) -> None:
    """Encrypt secrets of older keys with the newest one."""
    await reencrypt_rows(
        platform.work,
        Webhook,
        encryption=platform.encryption,
        lock_after=repository.lock_secrets_after,
        columns_of=_secrets_of,
    )


def _secrets_of(row: Secrets) -> dict[str, tuple[bytes | None, str]]:
    return {"secret": (row.secret, PURPOSE), "former_secret": (row.former_secret, FORMER_PURPOSE)}


async def replay(platform: Platform, *, webhook_id: str) -> None:
    """Queue the next batch of a replay."""
    async with platform.work() as work:
        await replay_some(work, UUID(webhook_id), jobs=platform.jobs)


async def delete_deliveries(platform: Platform, *, webhook_id: str) -> None:
    """Delete a batch of the deliveries of a removed webhook."""
    async with platform.work() as work:
        await delete_some_deliveries(work.session, UUID(webhook_id), jobs=platform.jobs)


TASKS = Tasks(
    by_name={MAIL_JOB: mail_disabled, REPLAY_JOB: replay, DELETE_JOB: delete_deliveries},
    periodic={
        "webhooks.delete_old_deliveries": Periodic("37 * * * *", delete_old_deliveries),
        "webhooks.reencrypt_secrets": Periodic("7 * * * *", reencrypt_secrets),
    },
    continuous={"webhooks.deliver": deliver},
)
