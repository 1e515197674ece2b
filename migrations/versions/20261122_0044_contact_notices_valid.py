"""All notices to addresses name one that is there."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.execute("ALTER TABLE notices VALIDATE CONSTRAINT fk_notices_contact_id_report_contacts")
