"""Notes of moved votes, and what has happened before there was a log, which a job writes into it."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0018"
down_revision = "0017"

_TABLES = """
CREATE TABLE vote_changes (bug_id uuid NOT NULL);
CREATE TABLE missing_events (
    id bigint GENERATED ALWAYS AS IDENTITY, at timestamp with time zone NOT NULL, type text NOT NULL, actor_id uuid,
    bug_id uuid NOT NULL, data jsonb NOT NULL,
    CONSTRAINT pk_missing_events PRIMARY KEY (id)
);
"""
_TRIGGER = """
CREATE TRIGGER votes_log AFTER UPDATE OF vote_count ON bugs FOR EACH ROW
    WHEN (OLD.vote_count <> NEW.vote_count) EXECUTE FUNCTION votes_log();
"""


def upgrade() -> None:
    op.execute(_TABLES)
    create_functions("votes_log", "votes_told", "events_missing", "list_missing_events")
    op.execute(_TRIGGER)
