"""The event log: streams, events that nobody changes or deletes, and how far each consumer has read."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0014"
down_revision = "0013"

# The row of a stream is updated by every event: with room on its page, no index is touched.
_TABLES = """
CREATE TABLE event_streams (
    stream uuid NOT NULL, last_seq bigint NOT NULL,
    CONSTRAINT pk_event_streams PRIMARY KEY (stream)
) WITH (fillfactor = 40);
CREATE TABLE events (
    stream uuid NOT NULL, seq bigint NOT NULL, type text NOT NULL, at timestamp with time zone NOT NULL, actor_id uuid,
    bug_id uuid, ticket_id uuid, project_id uuid, version integer, visibility text NOT NULL, data jsonb NOT NULL,
    cause jsonb NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (stream, seq),
    CONSTRAINT ck_events_visibility_is_known CHECK (visibility IN ('public', 'tenant', 'internal'))
);
CREATE INDEX ix_events_bug_id ON events (bug_id, at) WHERE bug_id IS NOT NULL;
CREATE TABLE event_consumers (
    name text NOT NULL, started_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pk_event_consumers PRIMARY KEY (name)
);
CREATE TABLE event_cursors (
    consumer text NOT NULL, stream uuid NOT NULL, seq bigint DEFAULT 0 NOT NULL, attempts integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone, error text,
    CONSTRAINT pk_event_cursors PRIMARY KEY (consumer, stream)
) WITH (fillfactor = 60);
"""

# A trigger for each statement and not for each row, so that one which would touch no row is refused as well.
_APPEND_ONLY = """
CREATE TRIGGER events_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_kept();
"""


def upgrade() -> None:
    op.execute(_TABLES)
    create_functions("events_are_kept")
    op.execute(_APPEND_ONLY)
