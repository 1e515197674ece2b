"""Deliveries are held to their webhook by no foreign key: it is removed at once, they go in steps."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    # Waits for whoever writes to either table; env.py bounds that, and `migrate` tries again. The release before this
    # one leaves deliveries of what it removes to the sweep of those that are 30 days old.
    op.drop_constraint("fk_webhook_deliveries_webhook_id_webhooks", "webhook_deliveries", type_="foreignkey")
