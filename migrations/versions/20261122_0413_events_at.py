"""What was written lately to any stream is found by its time. Alone in its migration: an index that is made beside writers
is in no transaction. docs/adr/0040."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    create_index_concurrently("ix_events_at", "events", "at")
