"""Webhooks of companies, what is to be delivered to them, and what became of each attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"

MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    # The foreign key waits for whoever writes to companies; env.py bounds that, and `migrate` tries again.
    webhooks()
    deliveries()
    attempts()


def webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("include_internal", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("disabled_reason", sa.String()),
        sa.Column("failing_since", MOMENT),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("former_secret", sa.LargeBinary()),
        sa.Column("former_secret_until", MOMENT),
        sa.Column("replay_next_seq", sa.BigInteger()),
        sa.Column("replay_last_seq", sa.BigInteger()),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("updated_at", MOMENT, server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "(former_secret IS NULL) = (former_secret_until IS NULL)",
            name=op.f("ck_webhooks_former_secret_ends"),
        ),
        sa.CheckConstraint(
            "disabled_reason IN ('gone', 'failing')", name=op.f("ck_webhooks_disabled_reason_is_known")
        ),
        sa.CheckConstraint(
            "NOT (enabled AND disabled_reason IS NOT NULL)", name=op.f("ck_webhooks_enabled_has_no_reason")
        ),
        sa.CheckConstraint(
            "(replay_next_seq IS NULL) = (replay_last_seq IS NULL)", name=op.f("ck_webhooks_replay_ends")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_webhooks_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_webhooks_company_id", "webhooks", ["company_id"])


def deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.Uuid()),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", MOMENT),
        sa.Column("lease_id", sa.Uuid()),
        sa.Column("leased_until", MOMENT),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state_is_known")
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (next_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_pending_has_a_time"),
        ),
        sa.CheckConstraint(
            "(stream IS NULL) = (seq IS NULL)", name=op.f("ck_webhook_deliveries_event_is_whole")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_deliveries_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        "uq_webhook_deliveries_webhook_id_stream_seq",
        "webhook_deliveries",
        ["webhook_id", "stream", "seq"],
        unique=True,
    )
    op.create_index("ix_webhook_deliveries_webhook_id_id", "webhook_deliveries", ["webhook_id", "id"])
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "next_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_deliveries_leased",
        "webhook_deliveries",
        ["webhook_id"],
        postgresql_where=sa.text("lease_id IS NOT NULL"),
    )
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])


def attempts() -> None:
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("response", sa.String()),
        sa.Column("error", sa.String()),
        sa.CheckConstraint(
            "(status IS NULL) = (error IS NOT NULL)", name=op.f("ck_webhook_attempts_status_or_error")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name=op.f("fk_webhook_attempts_delivery_id_webhook_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index("ix_webhook_attempts_delivery_id", "webhook_attempts", ["delivery_id", "at"])
