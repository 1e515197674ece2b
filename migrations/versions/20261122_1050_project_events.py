"""What has changed of a project is found without all events of its company. Alone in its migration: an index that is built
concurrently is in no transaction."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    create_index_concurrently(
        "ix_events_project_changed", "events", "stream", "project_id", where="type = 'project.changed'"
    )
