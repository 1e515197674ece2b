"""Kept answers know their sender, and go with the account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("sender_id", sa.Uuid()))
    op.create_index(
        "ix_idempotency_keys_sender_id",
        "idempotency_keys",
        ["sender_id"],
        postgresql_where=sa.text("sender_id IS NOT NULL"),
    )
