"""The history of a ticket is read from the log. Alone in its migration: the index is made beside writers."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    create_index_concurrently(
        "ix_events_ticket_id", "events", "stream", "ticket_id", "seq", where="ticket_id IS NOT NULL"
    )
