"""Lists and searches at a million bugs: what a list filters by lies beside the search document, ranking has layers,
and every change is logged for as long as a counted total may be carried forward. docs/adr/0016 has the reasons.
"""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0005"
down_revision = "0004"

_FILTER_COLUMNS = """
ALTER TABLE bug_search
    ADD COLUMN status varchar,
    ADD COLUMN priority varchar,
    ADD COLUMN tags text[],
    ADD COLUMN application_id uuid,
    ADD COLUMN assigned_company_id uuid,
    ADD COLUMN reporter_id uuid,
    ADD COLUMN created_at timestamptz,
    -- Months since the year 0, in the index of the documents: the newest of many hits are found without the others.
    ADD COLUMN created_month integer GENERATED ALWAYS AS (
        (extract(year FROM created_at AT TIME ZONE 'UTC') * 12 + extract(month FROM created_at AT TIME ZONE 'UTC'))::integer
    ) STORED;
"""

_TRIGGER_ON_BUG = """
DROP TRIGGER search_on_bug ON bugs;
CREATE TRIGGER search_on_bug
    AFTER UPDATE OF title, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at,
                    removed_at, merged_into_id ON bugs
    FOR EACH ROW
    WHEN ((OLD.title, OLD.status, OLD.priority, OLD.tags, OLD.application_id, OLD.assigned_company_id, OLD.reporter_id,
           OLD.created_at, OLD.removed_at, OLD.merged_into_id)
          IS DISTINCT FROM
          (NEW.title, NEW.status, NEW.priority, NEW.tags, NEW.application_id, NEW.assigned_company_id, NEW.reporter_id,
           NEW.created_at, NEW.removed_at, NEW.merged_into_id))
    EXECUTE FUNCTION search_on_bug();
"""

# The log of changes. A total that was counted under one snapshot is true under a later one when the rows are added
# that the former could not see: exact under any interleaving, because PostgreSQL itself decides what was visible.
# A total from another era counts for nothing: TRUNCATE and a rebuild do not log rows.
_LOG_OF_CHANGES = """
CREATE TABLE bug_search_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    sign smallint NOT NULL,
    document tsvector,
    status varchar,
    priority varchar,
    tags text[],
    application_id uuid,
    assigned_company_id uuid,
    reporter_id uuid,
    created_at timestamptz
);
CREATE INDEX ix_bug_search_changes_transaction_id ON bug_search_changes (transaction_id);
CREATE INDEX ix_bug_search_changes_at ON bug_search_changes (at);
CREATE TABLE bug_search_era (era uuid NOT NULL);
INSERT INTO bug_search_era VALUES (gen_random_uuid());
"""

# How many visible bugs have a tag: what was counted, and what has changed since. A report adds rows of its own here and
# locks nobody's; a job folds them in (domain/bugs/tasks.py). Both tables together are exact at any moment.
_TAG_COUNTS = """
CREATE TABLE tag_counts (name text PRIMARY KEY, count bigint NOT NULL);
CREATE TABLE tag_changes (name text NOT NULL, sign smallint NOT NULL);
"""

_TRIGGERS_ON_SEARCH = """
CREATE TRIGGER search_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION search_log();
CREATE TRIGGER tags_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION tags_log();
CREATE TRIGGER search_new_era AFTER TRUNCATE ON bug_search
    FOR EACH STATEMENT EXECUTE FUNCTION search_new_era();
"""

_DOCUMENTS_ANEW = """
DROP INDEX ix_bug_search_document;
SELECT search_rebuild();
ALTER TABLE bug_search
    ALTER COLUMN status SET NOT NULL, ALTER COLUMN priority SET NOT NULL, ALTER COLUMN tags SET NOT NULL,
    ALTER COLUMN application_id SET NOT NULL, ALTER COLUMN created_at SET NOT NULL;
CREATE INDEX ix_bug_search_document ON bug_search USING gin (document, tags, status, priority, created_month);
CREATE INDEX ix_bug_search_recent ON bug_search (created_at, bug_id);
CREATE INDEX ix_bug_search_application ON bug_search (application_id, created_at, bug_id);
CREATE INDEX ix_bug_search_company ON bug_search (assigned_company_id, created_at, bug_id);
"""

_TRIGGER_ON_VOTES = """
CREATE TRIGGER vote_dated BEFORE UPDATE OF created_at ON bug_votes
    FOR EACH ROW EXECUTE FUNCTION vote_dated();
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    op.execute(_FILTER_COLUMNS)
    create_functions("search_layers", "search_document", "search_refresh")
    op.execute(_TRIGGER_ON_BUG)
    op.execute(_LOG_OF_CHANGES)
    op.execute(_TAG_COUNTS)
    create_functions("search_log", "tags_log", "tags_fold", "search_new_era", "search_rebuild", "vote_dated")
    op.execute(_TRIGGERS_ON_SEARCH)
    op.execute(_DOCUMENTS_ANEW)
    op.execute(_TRIGGER_ON_VOTES)
