"""Where everybody can read of a support report elsewhere."""

from __future__ import annotations

from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.execute("ALTER TABLE support_reports ADD COLUMN public_issue_url varchar")
