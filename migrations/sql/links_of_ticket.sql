-- The public bugs that a ticket is linked to, oldest link first, as a JSON array; null without any, which costs next to
-- nothing. A merged bug is shown as its survivor; removed bugs are left out.
CREATE OR REPLACE FUNCTION links_of_ticket(the_company uuid, the_ticket uuid) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    PERFORM FROM ticket_links l WHERE l.company_id = the_company AND l.ticket_id = the_ticket;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT jsonb_agg(to_jsonb(f) - 'since' ORDER BY f.since, f.bug_id)
        FROM (
            SELECT b.id AS bug_id, b.title, b.status, (array_agg(l.kind ORDER BY l.created_at))[1] AS kind,
                bool_or(l.carry_status) AS carry_status, min(l.created_at) AS since
            FROM ticket_links l JOIN bugs b ON b.id = bug_survivor(l.bug_id)
            WHERE l.company_id = the_company AND l.ticket_id = the_ticket
            GROUP BY b.id
        ) f
    );
END $$;
