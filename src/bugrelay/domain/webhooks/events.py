"""What has happened to webhooks: facts in the past tense, with ids and values.

`actor_id` is who did it, None for the clock. Of a URL they hold the origin alone: paths and queries of webhooks
are often secrets. All happened at the time of their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class WebhookAdded:
    """A company's admin said where its events are posted to."""

    webhook_id: UUID
    company_id: UUID
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookChanged:
    """A company's admin changed these fields of a webhook."""

    webhook_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    values: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookSecretRotated:
    """A webhook has got a new secret."""

    webhook_id: UUID
    company_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookRemoved:
    """A webhook is gone: by a company's admin, or because a new claim began a new team."""

    webhook_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookDisabled:
    """What a webhook answered, or that it did not, has disabled it: "gone" or "failing"."""

    webhook_id: UUID
    company_id: UUID
    reason: str
    actor_id: None = None


CHANGES_NOTHING_PUBLIC: tuple[type, ...] = (
    WebhookAdded,
    WebhookChanged,
    WebhookSecretRotated,
    WebhookRemoved,
    WebhookDisabled,
)
"""Facts that no cached response shows."""

WRITES_NO_EVENT = CHANGES_NOTHING_PUBLIC
"""Facts that the event log does not tell of; the audit log does."""
