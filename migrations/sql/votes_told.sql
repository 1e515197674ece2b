-- Take the bugs whose votes have moved out of the notes of them, at most so many, but for those that the event log was
-- told of within the last minute: their notes stay. By one session at a time; none when another is at it.
--
-- Whoever reads the counts afterwards, in another statement, reads what the notes were about, or what is newer: a vote
-- that is committed later has a note that is there later.
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
