-- The bug that a bug is shown as: itself, or the end of its merge chain; null if that is not public.
CREATE OR REPLACE FUNCTION bug_survivor(the_bug uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE chain (id, merged_into_id) AS (
        SELECT b.id, b.merged_into_id FROM bugs b WHERE b.id = the_bug AND b.removed_at IS NULL
        UNION
        SELECT b.id, b.merged_into_id FROM chain c JOIN bugs b ON b.id = c.merged_into_id
        WHERE b.removed_at IS NULL
    )
    SELECT id FROM chain WHERE merged_into_id IS NULL
$$;
