-- Whether somebody sees a ticket now: the rule of domain/tickets/visibility.py, for whoever is told of one.
--
-- internal: of what only the company's members and admins may see.
CREATE OR REPLACE FUNCTION sees_ticket(the_company uuid, the_ticket uuid, viewer uuid, internal boolean)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM tickets t
        JOIN projects p ON p.company_id = t.company_id AND p.id = t.project_id
        JOIN companies o ON o.id = t.company_id AND o.verified
        JOIN company_members m ON m.company_id = t.company_id AND m.user_id = viewer AND m.is_active
        JOIN users u ON u.id = m.user_id AND u.erased_at IS NULL AND (u.banned_at IS NULL OR u.banned_until <= now())
        WHERE t.company_id = the_company AND t.id = the_ticket AND t.removed_at IS NULL
            AND (m.email_key IS NULL OR (u.is_email_verified AND u.email_key = m.email_key))
            AND (m.role <> 'reporter' OR (NOT internal AND (
                p.visibility = 'company' OR t.reporter_id = viewer OR EXISTS (
                    SELECT FROM ticket_assignees a
                    WHERE a.company_id = the_company AND a.ticket_id = the_ticket AND a.user_id = viewer
                )
            )))
    )
$$;
