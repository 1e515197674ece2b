-- The tickets that a user sees now, and whether with internal things: the rule of domain/tickets/visibility.py.
--
-- A single SELECT, so that PostgreSQL inlines it: of a join with it, only the joined tickets are read.
CREATE OR REPLACE FUNCTION tickets_seen_by(viewer uuid)
RETURNS TABLE (company_id uuid, ticket_id uuid, with_internal boolean) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT t.company_id, t.id, m.role <> 'reporter'
    FROM tickets t
    JOIN projects p ON p.company_id = t.company_id AND p.id = t.project_id
    JOIN companies o ON o.id = t.company_id AND o.verified
    JOIN company_members m ON m.company_id = t.company_id AND m.user_id = viewer AND m.is_active
    JOIN users u ON u.id = m.user_id AND u.erased_at IS NULL AND (u.banned_at IS NULL OR u.banned_until <= now())
    WHERE t.removed_at IS NULL
        AND (m.email_key IS NULL OR (u.is_email_verified AND u.email_key = m.email_key))
        AND (
            m.role <> 'reporter' OR p.visibility = 'company' OR t.reporter_id = viewer OR EXISTS (
                SELECT FROM ticket_assignees a
                WHERE a.company_id = t.company_id AND a.ticket_id = t.id AND a.user_id = viewer
            )
        )
$$;
