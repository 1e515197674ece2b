-- Write the oldest of the listed entries (list_missing_events) to their streams: those of the companies to which the bugs
-- are assigned now. At most so many; in one session at a time. Returns their number. Like log_events, it is called just
-- before the COMMIT. `at` is when it happened; `recorded_later` in `cause` is when it was written.
CREATE OR REPLACE FUNCTION record_missing_events(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    taken bigint[];
    recorded_at timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_advisory_xact_lock(7203476);
    SELECT array_agg(id) INTO taken FROM (SELECT id FROM missing_events ORDER BY id LIMIT most) AS oldest;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM log_events(jsonb_agg(jsonb_build_object(
        'stream', coalesce(b.assigned_company_id::text, '00000000-0000-8000-8000-00000000000' || right(b.id::text, 1)),
        'type', m.type, 'at', m.at, 'actor_id', m.actor_id, 'bug_id', m.bug_id, 'visibility', 'public', 'data', m.data,
        'cause', jsonb_build_object('kind', CASE WHEN m.data ? 'external_id' THEN 'system' ELSE 'user' END,
                                    'chain', '[]'::jsonb, 'recorded_later', recorded_at)
    ) ORDER BY m.id))
    FROM missing_events m JOIN bugs b ON b.id = m.bug_id WHERE m.id = ANY (taken);
    DELETE FROM missing_events WHERE id = ANY (taken);
    RETURN cardinality(taken);
END $$;
