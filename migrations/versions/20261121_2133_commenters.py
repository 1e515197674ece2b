"""Who has commented on a bug is found by an index, since commenting subscribes."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "DROP INDEX CONCURRENTLY IF EXISTS ix_comments_commenters"
        )  # of an attempt that was cut off
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_comments_commenters ON comments (bug_id, user_id)"
            " WHERE removed_at IS NULL AND user_id IS NOT NULL"
        )
