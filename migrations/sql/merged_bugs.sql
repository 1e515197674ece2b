-- A bug and all that are merged into it, one by way of the other; whoever followed one of them follows the survivor.
-- What was removed while it was merged has taken its people back.
CREATE OR REPLACE FUNCTION merged_bugs(the_bug uuid) RETURNS SETOF uuid LANGUAGE sql STABLE PARALLEL SAFE ROWS 2 AS $$
    WITH RECURSIVE merged (id) AS (
        SELECT the_bug
        UNION
        SELECT b.id FROM merged m JOIN bugs b ON b.merged_into_id = m.id WHERE b.removed_at IS NULL
    )
    SELECT id FROM merged
$$;
