-- How one user follows one bug: the level (subscription_level) and the reason; no row for a user who does not follow it, or
-- has unsubscribed.
--
-- A choice for the bug itself takes precedence over choices for bugs that were merged into it, of which the latest counts.
CREATE OR REPLACE FUNCTION bug_subscription(the_bug uuid, follower uuid)
RETURNS TABLE (level text, reason text) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    WITH merged (id) AS MATERIALIZED (SELECT merged_bugs(the_bug)),
    did AS (
        SELECT
            (
                SELECT s.level FROM bug_subscriptions s
                WHERE s.user_id = follower AND s.bug_id IN (SELECT id FROM merged)
                ORDER BY s.bug_id <> the_bug, s.chosen_at DESC LIMIT 1
            ) AS chosen,
            EXISTS (SELECT FROM bugs b JOIN merged m ON m.id = b.id WHERE b.reporter_id = follower) AS reported,
            EXISTS (
                SELECT FROM comments c WHERE c.bug_id = the_bug AND c.user_id = follower AND c.removed_at IS NULL
            ) AS commented,
            EXISTS (SELECT FROM bug_votes v WHERE v.bug_id = the_bug AND v.user_id = follower) AS voted,
            (SELECT n.default_level FROM notice_settings n WHERE n.user_id = follower) AS at_most
    )
    SELECT
        subscription_level(chosen, reported, commented, voted, at_most),
        CASE WHEN chosen IS NOT NULL THEN 'chosen' WHEN reported THEN 'reported' WHEN commented THEN 'commented'
            ELSE 'voted' END
    FROM did
    WHERE subscription_level(chosen, reported, commented, voted, at_most) IN ('all', 'official', 'resolved')
$$;
