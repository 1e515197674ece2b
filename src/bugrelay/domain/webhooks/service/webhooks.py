"""Use cases of a company's admins. Each locks the company's row, so that the count of its webhooks is exact."""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, null, update

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import TooManyWebhooks, WebhookNotFound
from bugrelay.domain.webhooks.events import WebhookAdded, WebhookChanged, WebhookSecretRotated
from bugrelay.domain.webhooks.models import Webhook
from bugrelay.domain.webhooks.schemas import AddWebhook, ChangeWebhook
from bugrelay.domain.webhooks.service.audit import audited
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

MAX_WEBHOOKS = 20
SECRET_BYTES = 32  # Standard Webhooks: 24 to 64
SECRET_PREFIX = "whsec_"  # noqa: S105 - only a prefix
PURPOSE, FORMER_PURPOSE = "webhook", "former webhook"
BOTH_SIGN_FOR = timedelta(hours=24)


async def add_webhook(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, new: AddWebhook, encryption: Encryption
) -> tuple[UUID, str]:
    """Add a webhook; returns its id and its secret, which cannot be read again.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, TooManyWebhooks
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    if await repository.count_webhooks(work, company_id) >= MAX_WEBHOOKS:
        raise TooManyWebhooks
    webhook_id, secret = new_id(), secrets.token_bytes(SECRET_BYTES)
    work.session.add(
        Webhook(
            id=webhook_id,
            company_id=company_id,
            url=new.url,
            events=new.events,
            include_internal=new.include_internal,
            enabled=new.enabled,
            secret=encryption.encrypt(secret, purpose=PURPOSE, row_id=webhook_id),
        )
    )
    values = audited({name: getattr(new, name) for name in AddWebhook.__struct_fields__})
    work.record(WebhookAdded(webhook_id=webhook_id, company_id=company_id, values=values, actor_id=actor_id))
    return webhook_id, secret_text(secret)


async def change_webhook(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, change: ChangeWebhook
) -> None:
    """Change the fields that are not UNSET. Enabling it, or another URL, resets `failing_since`.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    stored = await repository.lock_webhook(work, company_id=company_id, webhook_id=webhook_id)
    if stored is None:
        raise WebhookNotFound
    wishes = {name: getattr(change, name) for name in ChangeWebhook.__struct_fields__}
    wanted: dict[str, Any] = {name: value for name, value in wishes.items() if value is not UNSET}
    changed = [name for name, value in wanted.items() if value != getattr(stored, name)]
    if changed:
        work.record(
            WebhookChanged(
                webhook_id=webhook_id,
                company_id=company_id,
                former=audited({name: getattr(stored, name) for name in changed}),
                values=audited({name: wanted[name] for name in changed}),
                actor_id=actor_id,
            )
        )
    if wanted.get("enabled") is not None:
        wanted["disabled_reason"] = null()
    if wanted.get("enabled") or "url" in wanted:
        wanted["failing_since"] = null()
    await _update(work, company_id, webhook_id=webhook_id, values=wanted)


async def rotate_secret(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, encryption: Encryption
) -> str:
    """Generate a new secret and return it. For 24 hours posts are signed with the previous one, too.

    Older secrets end at once, and so does a previous one that no key decrypts.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    sealed = await repository.lock_secret(work, company_id=company_id, webhook_id=webhook_id)
    if sealed is None:
        raise WebhookNotFound
    secret = secrets.token_bytes(SECRET_BYTES)
    values = _former(sealed, encryption=encryption, webhook_id=webhook_id)
    values["secret"] = encryption.encrypt(secret, purpose=PURPOSE, row_id=webhook_id)
    await _update(work, company_id, webhook_id=webhook_id, values=values)
    work.record(WebhookSecretRotated(webhook_id=webhook_id, company_id=company_id, actor_id=actor_id))
    return secret_text(secret)


def _former(sealed: bytes, *, encryption: Encryption, webhook_id: UUID) -> dict[str, Any]:
    """The columns of the former secret, after the current one was replaced."""
    try:
        former = encryption.decrypt(sealed, purpose=PURPOSE, row_id=webhook_id)
    except SecretUnreadable:
        return {"former_secret": null(), "former_secret_until": null()}
    return {
        "former_secret": encryption.encrypt(former, purpose=FORMER_PURPOSE, row_id=webhook_id),
        "former_secret_until": func.now() + BOTH_SIGN_FOR,
    }


async def _update(work: UnitOfWork, company_id: UUID, *, webhook_id: UUID, values: dict[str, Any]) -> None:
    changing = (
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.company_id == company_id)
        .values(**values, updated_at=func.now())
        .returning(Webhook.id)
        .execution_options(synchronize_session=False)
    )
    if (await work.session.execute(changing)).first() is None:
        raise WebhookNotFound


def secret_text(secret: bytes) -> str:
    """A secret in the form that libraries of Standard Webhooks read."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()
