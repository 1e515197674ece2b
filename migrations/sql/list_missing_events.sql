-- List what the log lacks (events_missing) for record_missing_events, in order of time. An existing list stays as it is.
-- Returns the number of entries.
CREATE OR REPLACE FUNCTION list_missing_events(since uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    listed bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7203476);
    IF EXISTS (SELECT FROM missing_events) THEN
        RETURN 0;
    END IF;
    INSERT INTO missing_events (at, type, actor_id, bug_id, data)
    SELECT at, type, actor_id, bug_id, data FROM events_missing(since) ORDER BY at, type;
    GET DIAGNOSTICS listed = ROW_COUNT;
    RETURN listed;
END $$;
