-- Fold at most so many changes into the counts; returns how many there were. Readers see both tables in one snapshot, so the
-- sum is exact before and after. In one session at a time; none if another session is folding.
CREATE OR REPLACE FUNCTION ticket_counts_fold(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    folded integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203476) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM ticket_count_changes WHERE ctid = ANY(ARRAY(SELECT ctid FROM ticket_count_changes LIMIT most))
        RETURNING company_id, project_id, status, category, priority, department, count
    ), moved AS (
        SELECT company_id, project_id, status, category, priority, department, sum(count) AS count
        FROM taken GROUP BY company_id, project_id, status, category, priority, department
    ), kept AS (
        INSERT INTO ticket_counts AS c (company_id, project_id, status, category, priority, department, count)
        SELECT * FROM moved WHERE count <> 0
        ON CONFLICT (company_id, project_id, status, category, priority, department)
        DO UPDATE SET count = c.count + excluded.count
    )
    SELECT count(*) INTO folded FROM taken;
    DELETE FROM ticket_counts WHERE count = 0;
    RETURN folded;
END $$;
