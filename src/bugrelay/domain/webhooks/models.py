"""Webhooks, their deliveries, and the attempts of these."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment

PENDING, DELIVERED, FAILED = STATES = ("pending", "delivered", "failed")
GONE, FAILING = DISABLED_REASONS = ("gone", "failing")


class Webhook(Base):
    """A URL to which events of a company are posted.

    Secrets are encrypted (infra/security/encryption.py); the former one has an expiry. `failing_since` is the time of
    the first failure after the last success. `disabled_reason` is set when BugRelay has disabled it; null if an admin
    did. `replay_next_seq` and `replay_last_seq` are the range of the company's stream that a replay has yet to queue.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        Index("ix_webhooks_company_id", "company_id"),
        CheckConstraint("(former_secret IS NULL) = (former_secret_until IS NULL)", name="former_secret_ends"),
        CheckConstraint("disabled_reason IN ('gone', 'failing')", name="disabled_reason_is_known"),
        CheckConstraint("NOT (enabled AND disabled_reason IS NOT NULL)", name="enabled_has_no_reason"),
        CheckConstraint("(replay_next_seq IS NULL) = (replay_last_seq IS NULL)", name="replay_ends"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    include_internal: Mapped[bool] = mapped_column(server_default="false")
    enabled: Mapped[bool] = mapped_column(server_default="true")
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[Moment | None]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    former_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    former_secret_until: Mapped[Moment | None]
    replay_next_seq: Mapped[int | None] = mapped_column(BigInteger)
    replay_last_seq: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class WebhookDelivery(Base):
    """One event for one webhook. Tests and runs of workflow rules have no event; `data` describes a run.

    It has no foreign key to the webhook, which is removed at once, while deliveries are deleted in batches
    (service/removal.py).

    `attempts` counts those since it was queued, including a running one. `lease_id` identifies the running attempt, and
    `leased_until` is when its lease expires. `next_at` is the same time, so that another worker takes over after a
    kill.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("uq_webhook_deliveries_webhook_id_stream_seq", "webhook_id", "stream", "seq", unique=True),
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index(
            "ix_webhook_deliveries_due", "webhook_id", "next_at", postgresql_where=text("state = 'pending'")
        ),
        Index("ix_webhook_deliveries_leased", "webhook_id", postgresql_where=text("lease_id IS NOT NULL")),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state_is_known"),
        CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="pending_has_a_time"),
        CheckConstraint("(stream IS NULL) = (seq IS NULL)", name="event_is_whole"),
    )

    id: Mapped[Id]
    webhook_id: Mapped[UUID]
    stream: Mapped[UUID | None] = mapped_column(Uuid)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str]
    data: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[Moment | None]
    lease_id: Mapped[UUID | None] = mapped_column(Uuid)
    leased_until: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]


class WebhookAttempt(Base):
    """The outcome of one attempt: a status and the first KiB of the response, or the error why there was none."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        Index("ix_webhook_attempts_delivery_id", "delivery_id", "at"),
        CheckConstraint("(status IS NULL) = (error IS NOT NULL)", name="status_or_error"),
    )

    id: Mapped[Id]
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    at: Mapped[Moment]
    ms: Mapped[int]
    status: Mapped[int | None]
    response: Mapped[str | None]
    error: Mapped[str | None]
