"""The events of a bug are found without those of its votes. Alone in its migration: an index that is made beside writers
is in no transaction."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_index_concurrently

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    create_index_concurrently(
        "ix_events_bug_id_told", "events", "bug_id", "at", where="bug_id IS NOT NULL AND type <> 'bug.voted'"
    )
    create_index_concurrently("ix_events_bug_id_voted", "events", "bug_id", "at", where="type = 'bug.voted'")
    with op.get_context().autocommit_block():
        # No release has read it.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_events_bug_id")
