-- Rebuild one ticket's search document; a removed ticket has none.
CREATE OR REPLACE FUNCTION ticket_search_refresh(refreshed uuid) RETURNS void
LANGUAGE sql AS $$
    WITH shown AS (
        SELECT t.company_id, t.id, t.status, t.category, t.priority, t.created_at,
               ticket_document(t, ARRAY(SELECT user_id FROM ticket_assignees a
                                        WHERE a.company_id = t.company_id AND a.ticket_id = t.id)) AS document
        FROM tickets t WHERE t.id = refreshed AND t.removed_at IS NULL
    ), gone AS (
        DELETE FROM ticket_search WHERE ticket_id = refreshed AND NOT EXISTS (SELECT FROM shown)
    )
    INSERT INTO ticket_search AS s (company_id, ticket_id, status, category, priority, created_at, document)
    SELECT * FROM shown
    ON CONFLICT (ticket_id) DO UPDATE SET
        status = excluded.status, category = excluded.category, priority = excluded.priority,
        created_at = excluded.created_at, document = excluded.document
    WHERE (s.status, s.category, s.priority, s.created_at, s.document)
          IS DISTINCT FROM (excluded.status, excluded.category, excluded.priority, excluded.created_at, excluded.document)
$$;
