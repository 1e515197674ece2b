"""Totals of tickets that are too large to be counted while somebody waits. docs/adr/0039."""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE ticket_kept_totals (
        key text NOT NULL, total bigint NOT NULL, snapshot text NOT NULL, era text NOT NULL, cluster bigint NOT NULL,
        carried_at timestamptz NOT NULL DEFAULT now(), asked_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_ticket_kept_totals PRIMARY KEY (key)
    )
    """)
