"""What is done to webhooks is in the audit log, in the transaction that does it: they take data out of the house."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.moderation.models import Action
from bugrelay.domain.moderation.service.audit import write_company_audit
from bugrelay.domain.webhooks.events import (
    WebhookAdded,
    WebhookChanged,
    WebhookDisabled,
    WebhookRemoved,
    WebhookSecretRotated,
)

Act: TypeAlias = WebhookAdded | WebhookChanged | WebhookSecretRotated | WebhookRemoved | WebhookDisabled
_ACTIONS: dict[type[Act], Action] = {
    WebhookAdded: "webhook_add",
    WebhookChanged: "webhook_change",
    WebhookSecretRotated: "webhook_rotate",
    WebhookRemoved: "webhook_remove",
    WebhookDisabled: "webhook_disable",
}
AUDITED = tuple(_ACTIONS)


async def audit_acts(session: AsyncSession, acts: Sequence[Act]) -> None:
    """A row for each; `after` names the company, or `before` where the webhook is gone."""
    for act in acts:
        before, after = _change(act)
        await write_company_audit(
            session,
            act.actor_id,
            _ACTIONS[type(act)],
            company_id=act.company_id,
            resource="webhook",
            resource_id=act.webhook_id,
            before=before,
            after=after,
        )


def _change(act: Act) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    match act:
        case WebhookAdded(values=values):
            return None, dict(values)
        case WebhookChanged(former=former, values=values):
            return dict(former), dict(values)
        case WebhookRemoved(former=former):
            return dict(former), None
        case WebhookDisabled(reason=reason):
            return {"enabled": True}, {"enabled": False, "disabled_reason": reason}
        case WebhookSecretRotated():
            return None, {}


def told_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What facts hold of the fields of a webhook: of its URL the origin."""
    return {name: _origin(value) if name == "url" else value for name, value in fields.items()}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
