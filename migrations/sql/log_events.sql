-- Append events to their streams, in the given order; the last statement before a COMMIT.
--
-- It locks the row of each stream until the COMMIT, in the order of their ids and after all other locks. So the numbers of a
-- stream have no gaps, a greater number is committed later, and a reader that has read up to a number has missed nothing
-- before it. A rollback releases its numbers.
--
-- entries: objects with the columns of `events`, without `seq`. `at` is given for events of the past; otherwise it is the
-- current time, read under the lock, so that time does not run back in a stream.
-- Returns each stream with the number of its newest event.
CREATE OR REPLACE FUNCTION log_events(entries jsonb)
RETURNS TABLE (stream uuid, last_seq bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH entry AS (
        SELECT * FROM ROWS FROM (
            jsonb_to_recordset(entries) AS (
                stream uuid, type text, at timestamptz, actor_id uuid, bug_id uuid, ticket_id uuid, project_id uuid,
                version integer, visibility text, data jsonb, cause jsonb
            )
        ) WITH ORDINALITY AS given (stream, type, at, actor_id, bug_id, ticket_id, project_id, version, visibility,
                                    data, cause, place)
    ), numbered AS (
        INSERT INTO event_streams AS s (stream, last_seq)
        SELECT stream, count(*) FROM entry GROUP BY stream ORDER BY stream
        ON CONFLICT ON CONSTRAINT pk_event_streams DO UPDATE SET last_seq = s.last_seq + excluded.last_seq
        RETURNING s.stream, s.last_seq, clock_timestamp() AS now
    ), written AS (
        INSERT INTO events (stream, seq, type, at, actor_id, bug_id, ticket_id, project_id, version, visibility, data,
                            cause)
        SELECT e.stream, n.last_seq + 1 - row_number() OVER (PARTITION BY e.stream ORDER BY e.place DESC), e.type,
               coalesce(e.at, n.now), e.actor_id, e.bug_id, e.ticket_id, e.project_id, e.version, e.visibility, e.data,
               e.cause
        FROM entry e JOIN numbered n ON n.stream = e.stream
    )
    SELECT stream, last_seq FROM numbered;
END $$;
