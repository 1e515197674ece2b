"""What was written lately to any stream is found by its time. Alone in its migration: an index that is made beside writers
is in no transaction. docs/adr/0040."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0043"

_NAME = "ix_events_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(_NAME, "events", ["at"], postgresql_concurrently=True)
