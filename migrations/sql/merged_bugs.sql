-- A bug and all bugs that are merged into it, directly or indirectly; followers of each follow the survivor. Bugs that were
-- removed while they were merged are not included.
CREATE OR REPLACE FUNCTION merged_bugs(the_bug uuid) RETURNS SETOF uuid LANGUAGE sql STABLE PARALLEL SAFE ROWS 2 AS $$
    WITH RECURSIVE merged (id) AS (
        SELECT the_bug
        UNION
        SELECT b.id FROM merged m JOIN bugs b ON b.merged_into_id = m.id WHERE b.removed_at IS NULL
    )
    SELECT id FROM merged
$$;
