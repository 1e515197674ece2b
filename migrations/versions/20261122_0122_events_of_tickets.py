"""The history of a ticket is read from the log. Alone in its migration: the index is made beside writers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

_NAME = "ix_events_ticket_id"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(
            _NAME,
            "events",
            ["stream", "ticket_id", "seq"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("ticket_id IS NOT NULL"),
        )
