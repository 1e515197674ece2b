"""Comments of tickets that something wrote by itself have no author."""

from __future__ import annotations

from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    op.execute("ALTER TABLE ticket_comments ALTER COLUMN author_id DROP NOT NULL")
