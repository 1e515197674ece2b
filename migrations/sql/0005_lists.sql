-- Lists and searches at a million bugs: what a list filters by lies beside the search document, ranking has layers,
-- and every change is logged for as long as a counted total may be carried forward. docs/adr/0016 has the reasons.

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

-- A word's own score in a document is 10 for the title, 4 for the application's name, 1 for the description, each once.
-- A word that scores 10, 11 or 14 is there again under '^1', '^2' or '^3' before it, so that the index alone finds the
-- bugs that can stand on top. No text can forge these: the parser drops '^'.
CREATE FUNCTION search_layers(document tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg('^' || layer.name || scored.lexeme)), ''::tsvector)
        FROM (SELECT lexeme, (10 * ('A' = ANY(weights))::int + 4 * ('B' = ANY(weights))::int + ('D' = ANY(weights))::int) AS score
              FROM unnest(document) WHERE 'A' = ANY(weights)) AS scored,
             (VALUES ('1', 10), ('2', 11), ('3', 14)) AS layer(name, least)
        WHERE scored.score >= layer.least);

CREATE OR REPLACE FUNCTION search_document(title text, application_name text, description text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    words tsvector := setweight(search_field(title), 'A') || setweight(search_field(application_name), 'B')
        || setweight(search_field(description), 'D');
BEGIN
    RETURN words || search_layers(words) || search_stop_words(title);
END $$;

CREATE OR REPLACE FUNCTION search_refresh(refreshed uuid) RETURNS void
LANGUAGE sql AS $$
    WITH shown AS (
        SELECT b.*, search_document(b.title, a.name, t.description) AS document
        FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
        WHERE b.id = refreshed AND b.removed_at IS NULL AND b.merged_into_id IS NULL
    ), gone AS (
        DELETE FROM bug_search WHERE bug_id = refreshed AND NOT EXISTS (SELECT FROM shown)
    )
    INSERT INTO bug_search (bug_id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
    SELECT id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at FROM shown
    ON CONFLICT (bug_id) DO UPDATE SET
        document = excluded.document, status = excluded.status, priority = excluded.priority, tags = excluded.tags,
        application_id = excluded.application_id, assigned_company_id = excluded.assigned_company_id,
        reporter_id = excluded.reporter_id, created_at = excluded.created_at
$$;

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

-- The log of changes. A total that was counted under one snapshot is true under a later one when the rows are added
-- that the former could not see: exact under any interleaving, because PostgreSQL itself decides what was visible.
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

-- A total from another era counts for nothing: TRUNCATE and a rebuild do not log rows.
CREATE TABLE bug_search_era (era uuid NOT NULL);
INSERT INTO bug_search_era VALUES (gen_random_uuid());

CREATE FUNCTION search_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (-1, OLD.document, OLD.status, OLD.priority, OLD.tags, OLD.application_id, OLD.assigned_company_id, OLD.reporter_id,
                OLD.created_at);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (1, NEW.document, NEW.status, NEW.priority, NEW.tags, NEW.application_id, NEW.assigned_company_id, NEW.reporter_id,
                NEW.created_at);
    END IF;
    RETURN NULL;
END $$;

-- How many visible bugs have a tag: what was counted, and what has changed since. A report adds rows of its own here and
-- locks nobody's; a job folds them in (domain/bugs/tasks.py). Both tables together are exact at any moment.
CREATE TABLE tag_counts (name text PRIMARY KEY, count bigint NOT NULL);
CREATE TABLE tag_changes (name text NOT NULL, sign smallint NOT NULL);

CREATE FUNCTION tags_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.tags = NEW.tags THEN
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO tag_changes SELECT name, -1 FROM unnest(OLD.tags) AS name;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO tag_changes SELECT name, 1 FROM unnest(NEW.tags) AS name;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION tags_fold() RETURNS void LANGUAGE sql AS $$
    WITH taken AS (DELETE FROM tag_changes RETURNING name, sign),
    moved AS (SELECT name, sum(sign) AS by FROM taken GROUP BY name HAVING sum(sign) <> 0 ORDER BY name)
    INSERT INTO tag_counts SELECT name, by FROM moved
    ON CONFLICT (name) DO UPDATE SET count = tag_counts.count + excluded.count;
    DELETE FROM tag_counts WHERE count = 0;
$$;

CREATE FUNCTION search_new_era() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE tag_counts, tag_changes;
    DELETE FROM bug_search_era;
    INSERT INTO bug_search_era VALUES (gen_random_uuid());
    RETURN NULL;
END $$;

-- Every document made anew, in one statement and without the log: after a bulk load, or a change of the rules above.
CREATE FUNCTION search_rebuild() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bug_search;
    ALTER TABLE bug_search DISABLE TRIGGER USER;
    INSERT INTO bug_search (bug_id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
    SELECT b.id, search_document(b.title, a.name, t.description), b.status, b.priority, b.tags, b.application_id,
           b.assigned_company_id, b.reporter_id, b.created_at
    FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
    WHERE b.removed_at IS NULL AND b.merged_into_id IS NULL
    ORDER BY b.created_at, b.id;
    ALTER TABLE bug_search ENABLE TRIGGER USER;
    INSERT INTO tag_counts SELECT name, count(*) FROM bug_search, unnest(tags) AS name GROUP BY name;
END $$;

CREATE TRIGGER search_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION search_log();
CREATE TRIGGER tags_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION tags_log();
CREATE TRIGGER search_new_era AFTER TRUNCATE ON bug_search
    FOR EACH STATEMENT EXECUTE FUNCTION search_new_era();

DROP INDEX ix_bug_search_document;
SELECT search_rebuild();
ALTER TABLE bug_search
    ALTER COLUMN status SET NOT NULL, ALTER COLUMN priority SET NOT NULL, ALTER COLUMN tags SET NOT NULL,
    ALTER COLUMN application_id SET NOT NULL, ALTER COLUMN created_at SET NOT NULL;
CREATE INDEX ix_bug_search_document ON bug_search USING gin (document, tags, status, priority, created_month);
CREATE INDEX ix_bug_search_recent ON bug_search (created_at, bug_id);
CREATE INDEX ix_bug_search_application ON bug_search (application_id, created_at, bug_id);
CREATE INDEX ix_bug_search_company ON bug_search (assigned_company_id, created_at, bug_id);

-- A vote counts as recent for 30 days; bugs.recent_vote_count, which `trending` sorts by, follows the vote's date.
-- A job touches the votes that have aged (domain/bugs/tasks.py).
CREATE FUNCTION vote_dated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_recent := NEW.created_at > now() - interval '30 days';
    IF NEW.is_recent <> OLD.is_recent AND NEW.counted THEN
        UPDATE bugs SET recent_vote_count = recent_vote_count + CASE WHEN NEW.is_recent THEN 1 ELSE -1 END
        WHERE id = NEW.bug_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vote_dated BEFORE UPDATE OF created_at ON bug_votes
    FOR EACH ROW EXECUTE FUNCTION vote_dated();
