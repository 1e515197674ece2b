"""Tickets are searched and counted: a search document of each, and counts that triggers keep. docs/adr/0039.

What filters and orders a search beside its words stands in `ticket_search` without an index of its own, so that a change
of status or priority rewrites no index (HOT); the page of a row has room for it.
"""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0039"
down_revision = "0038"

_SEARCH = """
CREATE TABLE ticket_search (
    ticket_id uuid NOT NULL, company_id uuid NOT NULL, document tsvector NOT NULL, status varchar NOT NULL,
    category varchar NOT NULL, priority varchar NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT pk_ticket_search PRIMARY KEY (ticket_id),
    CONSTRAINT fk_ticket_search_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE
) WITH (fillfactor = 85);
CREATE INDEX ix_ticket_search_document ON ticket_search USING gin (document);
CREATE TABLE ticket_search_changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    sign smallint NOT NULL, company_id uuid NOT NULL, document tsvector NOT NULL, status varchar NOT NULL,
    category varchar NOT NULL, priority varchar NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT pk_ticket_search_changes PRIMARY KEY (id)
);
CREATE INDEX ix_ticket_search_changes_transaction_id ON ticket_search_changes (transaction_id);
CREATE INDEX ix_ticket_search_changes_at ON ticket_search_changes (at);
CREATE TABLE ticket_search_era (era uuid NOT NULL);
INSERT INTO ticket_search_era VALUES (gen_random_uuid());
"""

_COUNTS = """
CREATE TABLE ticket_counts (
    company_id uuid NOT NULL, project_id uuid NOT NULL, status varchar NOT NULL, category varchar NOT NULL,
    priority varchar NOT NULL, department varchar NOT NULL, count bigint NOT NULL,
    CONSTRAINT pk_ticket_counts PRIMARY KEY (company_id, project_id, status, category, priority, department)
);
CREATE TABLE ticket_count_changes (
    company_id uuid NOT NULL, project_id uuid NOT NULL, status varchar NOT NULL, category varchar NOT NULL,
    priority varchar NOT NULL, department varchar NOT NULL, count smallint NOT NULL
);
CREATE INDEX ix_ticket_count_changes_company_id ON ticket_count_changes (company_id);
"""

_TRIGGERS = """
CREATE TRIGGER ticket_search_added AFTER INSERT ON tickets
    FOR EACH ROW EXECUTE FUNCTION ticket_search_on_ticket();
CREATE TRIGGER ticket_search_changed
    AFTER UPDATE OF title, key, description, project_id, reporter_id, department, tags, created_at, removed_at, status,
                    category, priority ON tickets
    FOR EACH ROW EXECUTE FUNCTION ticket_search_on_ticket();
CREATE TRIGGER ticket_search_assigned AFTER INSERT ON ticket_assignees REFERENCING NEW TABLE AS assigned
    FOR EACH STATEMENT EXECUTE FUNCTION ticket_search_on_assignees();
CREATE TRIGGER ticket_search_unassigned AFTER DELETE ON ticket_assignees REFERENCING OLD TABLE AS assigned
    FOR EACH STATEMENT EXECUTE FUNCTION ticket_search_on_assignees();
CREATE TRIGGER ticket_search_log AFTER INSERT OR UPDATE OR DELETE ON ticket_search
    FOR EACH ROW EXECUTE FUNCTION ticket_search_log();
CREATE TRIGGER ticket_search_new_era AFTER TRUNCATE ON ticket_search
    FOR EACH STATEMENT EXECUTE FUNCTION ticket_search_new_era();
CREATE TRIGGER ticket_counts_log
    AFTER INSERT OR DELETE OR UPDATE OF project_id, status, category, priority, department, removed_at ON tickets
    FOR EACH ROW EXECUTE FUNCTION ticket_counts_log();
"""

# What lists and reports read besides: open tickets among a million closed ones, and what was closed last.
_INDEXES = """
CREATE INDEX ix_tickets_category ON tickets (company_id, category, created_at, id) WHERE removed_at IS NULL;
CREATE INDEX ix_tickets_status ON tickets (company_id, status, created_at, id) WHERE removed_at IS NULL;
CREATE INDEX ix_ticket_comments_author_id ON ticket_comments (company_id, author_id, created_at);
CREATE INDEX ix_tickets_resolved ON tickets (company_id, resolved_at) WHERE removed_at IS NULL AND resolved_at IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(_SEARCH)
    op.execute(_COUNTS)
    create_functions(
        "ticket_document",
        "ticket_search_refresh",
        "ticket_search_on_ticket",
        "ticket_search_on_assignees",
        "ticket_search_log",
        "ticket_search_new_era",
        "ticket_counts_log",
        "ticket_counts_fold",
        "ticket_search_rebuild",
    )
    op.execute(_TRIGGERS)
    op.execute(_INDEXES)
    op.execute("SELECT ticket_search_rebuild()")
