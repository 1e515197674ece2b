"""What has changed of a project is found without all events of its company. Alone in its migration: an index that is built
concurrently is in no transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"

_NAME = "ix_events_project_changed"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(
            _NAME,
            "events",
            ["stream", "project_id"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("type = 'project.changed'"),
        )
