"""Changes of webhooks are written to the audit log in their transaction, since webhooks send data to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.moderation.models import Action
from bugrelay.domain.moderation.service.audit import Change, audit_company_acts
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
    """Write an audit row for each act."""
    await audit_company_acts(
        session,
        acts,
        actions=_ACTIONS,
        resource="webhook",
        id_of=lambda act: act.webhook_id,
        change_of=_change,
    )


def _change(act: Act) -> Change:
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


def audited(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a webhook as facts hold them: of its URL only the origin."""
    return {name: _origin(value) if name == "url" else value for name, value in fields.items()}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
