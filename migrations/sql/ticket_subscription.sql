-- How one user follows one ticket: the level (subscription_level) and the reason; no row for a user who does not follow it,
-- or has unsubscribed.
CREATE OR REPLACE FUNCTION ticket_subscription(the_company uuid, the_ticket uuid, follower uuid)
RETURNS TABLE (level text, reason text) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    WITH did AS (
        SELECT
            (
                SELECT s.level FROM ticket_subscriptions s
                WHERE s.company_id = the_company AND s.ticket_id = the_ticket AND s.user_id = follower
            ) AS chosen,
            EXISTS (
                SELECT FROM tickets t
                WHERE t.company_id = the_company AND t.id = the_ticket AND t.reporter_id = follower
            ) AS reported,
            EXISTS (
                SELECT FROM ticket_assignees a
                WHERE a.company_id = the_company AND a.ticket_id = the_ticket AND a.user_id = follower
            ) AS assigned,
            EXISTS (
                SELECT FROM ticket_comments c
                WHERE c.company_id = the_company AND c.ticket_id = the_ticket AND c.author_id = follower
                    AND c.removed_at IS NULL
            ) AS commented,
            (SELECT n.default_level FROM notice_settings n WHERE n.user_id = follower) AS at_most
    )
    SELECT
        subscription_level(chosen, reported OR assigned, commented, false, at_most),
        CASE WHEN chosen IS NOT NULL THEN 'chosen' WHEN reported THEN 'reported' WHEN assigned THEN 'assigned'
            ELSE 'commented' END
    FROM did
    WHERE subscription_level(chosen, reported OR assigned, commented, false, at_most) IN ('all', 'official', 'resolved')
$$;
