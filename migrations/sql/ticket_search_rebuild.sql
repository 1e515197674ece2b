-- Rebuild all documents and all counts, without the log: after a bulk load, or when a migration changes the rules for
-- documents. Tickets must not be written meanwhile.
CREATE OR REPLACE FUNCTION ticket_search_rebuild() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE ticket_search;
    ALTER TABLE ticket_search DISABLE TRIGGER USER;
    INSERT INTO ticket_search (company_id, ticket_id, status, category, priority, created_at, document)
    SELECT t.company_id, t.id, t.status, t.category, t.priority, t.created_at,
           ticket_document(t, coalesce(a.user_ids, '{}'))
    FROM tickets t LEFT JOIN (
        SELECT company_id, ticket_id, array_agg(user_id) AS user_ids FROM ticket_assignees GROUP BY company_id, ticket_id
    ) a ON a.company_id = t.company_id AND a.ticket_id = t.id
    WHERE t.removed_at IS NULL
    ORDER BY t.company_id, t.created_at, t.id;
    ALTER TABLE ticket_search ENABLE TRIGGER USER;
    INSERT INTO ticket_counts (company_id, project_id, status, category, priority, department, count)
    SELECT company_id, project_id, status, category, priority, coalesce(department, ''), count(*)
    FROM tickets WHERE removed_at IS NULL
    GROUP BY company_id, project_id, status, category, priority, coalesce(department, '');
END $$;
