-- Take and delete the notes of bugs whose votes have changed, for at most so many bugs. Notes of bugs that had an event
-- within the last minute stay. In one session at a time; none if another session is at it.
--
-- The counts are read afterwards, in another statement. So they include the votes of the notes, and possibly later ones: the
-- note of a vote that is committed later is committed later as well.
CREATE OR REPLACE FUNCTION votes_told(most integer) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203475) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS (
        SELECT DISTINCT c.bug_id FROM vote_changes c
        WHERE NOT EXISTS (
            SELECT FROM events e
            WHERE e.bug_id = c.bug_id AND e.type = 'bug.voted' AND e.at > clock_timestamp() - interval '1 minute'
        )
        LIMIT most
    ), taken AS (
        DELETE FROM vote_changes c USING due WHERE c.bug_id = due.bug_id
    )
    SELECT bug_id FROM due;
END $$;
