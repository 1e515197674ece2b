-- Whether a user sees a ticket now.
--
-- internal: for what only the company's members and admins may see.
CREATE OR REPLACE FUNCTION sees_ticket(the_company uuid, the_ticket uuid, viewer uuid, internal boolean)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM tickets_seen_by(viewer) s
        WHERE s.company_id = the_company AND s.ticket_id = the_ticket AND (s.with_internal OR NOT internal)
    )
$$;
