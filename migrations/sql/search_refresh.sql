-- Rebuild one bug's document; a removed or merged bug has none.
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
