"""Facts about webhooks, in the past tense, with ids and values.

`actor_id` is the user who did it, None for BugRelay itself. Of a URL they hold only the origin, since paths and queries
of webhooks are often secrets. All happened at the time of their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class WebhookAdded:
    """A company's admin added a webhook."""

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
    """A webhook got a new secret."""

    webhook_id: UUID
    company_id: UUID
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookRemoved:
    """A webhook was removed by a company's admin, or because a new claim began a new team."""

    webhook_id: UUID
    company_id: UUID
    former: Mapping[str, Any]
    actor_id: UUID


@dataclass(frozen=True, kw_only=True)
class WebhookDisabled:
    """BugRelay disabled a webhook; `reason` is "gone" (a response of 410) or "failing" (seven days of failures)."""

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
"""Facts that change no cached response."""

WRITES_NO_EVENT = CHANGES_NOTHING_PUBLIC
"""Facts that are not in the event log; they are in the audit log."""
