-- Fold bugs that were reported, edited, removed or restored into the index of similar bugs: at most so many changes, in one
-- transaction, in one session at a time. Returns how many there were; none if another session is folding.
CREATE OR REPLACE FUNCTION similar_fold(most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    taken bigint[];
    changed uuid[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203474) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(id), array_agg(DISTINCT bug_id) INTO taken, changed
    FROM (SELECT id, bug_id FROM similar_pending ORDER BY id LIMIT most) AS pending;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM similar_remove(changed);
    PERFORM similar_post(similar_add(changed), 1, 0);
    DELETE FROM similar_pending WHERE id = ANY(taken);
    RETURN cardinality(taken);
END $$;
