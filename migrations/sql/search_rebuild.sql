-- Rebuild all documents in one statement and without the log: after a bulk load, or when a migration changes the rules for
-- documents.
CREATE OR REPLACE FUNCTION search_rebuild() RETURNS void LANGUAGE plpgsql AS $$
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
