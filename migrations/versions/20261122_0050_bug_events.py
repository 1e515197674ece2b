"""The events of a bug are found without those of its votes. Alone in its migration: an index that is made beside writers
is in no transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

_INDEXES = {
    "ix_events_bug_id_told": "bug_id IS NOT NULL AND type <> 'bug.voted'",
    "ix_events_bug_id_voted": "type = 'bug.voted'",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, condition in _INDEXES.items():
            op.execute(
                f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
            )  # one that a former try has left unfinished
            op.create_index(
                name,
                "events",
                ["bug_id", "at"],
                postgresql_concurrently=True,
                postgresql_where=sa.text(condition),
            )
        # No release has read it.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_events_bug_id")
