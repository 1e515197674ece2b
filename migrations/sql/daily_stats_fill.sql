-- The rows of daily_stats of a company up to today, from its last finished day and the event log: one row per project and
-- day, including days without events or without a count. Repeated or late calls write the same rows.
--
-- A day is finished when it was counted a minute after its end or later: an event is dated when it gets its number, and
-- committed at once. The log is read from the end of the last finished day (`last_seq`) on; for each ticket in that part,
-- its whole history is read, which gives its former state.
--
-- words: objects with `scheme`, `status` and its `stage`: open, triaged, in_progress or done.
CREATE OR REPLACE FUNCTION daily_stats_fill(tenant uuid, words jsonb, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    kinds text[] := '{ticket.created,ticket.changed,ticket.status_changed,ticket.removed,ticket.restored}';
    today date := (moment AT TIME ZONE 'UTC')::date;
    midnight timestamptz := (today + 1)::timestamp AT TIME ZONE 'UTC';
    finished daily_stats_days;
    first_seq bigint;
    first_day date;
BEGIN
    PERFORM pg_advisory_xact_lock(7203477, hashtext(tenant::text));
    SELECT * INTO finished FROM daily_stats_days d
    WHERE d.company_id = tenant AND d.date < today
      AND d.counted_at >= (d.date + 1)::timestamp AT TIME ZONE 'UTC' + interval '1 minute'
    ORDER BY d.date DESC LIMIT 1;
    first_seq := coalesce(finished.last_seq, 0) + 1;
    first_day := finished.date + 1;
    IF first_day IS NULL THEN
        SELECT (e.at AT TIME ZONE 'UTC')::date INTO first_day FROM events e
        WHERE e.stream = tenant AND e.type = 'ticket.created' AND e.at < midnight ORDER BY e.seq LIMIT 1;
    END IF;
    IF first_day IS NULL THEN
        RETURN;
    END IF;

    WITH word AS (
        SELECT * FROM jsonb_to_recordset(words) AS w (scheme text, status text, stage text)
    ), touched AS (
        SELECT DISTINCT e.ticket_id FROM events e
        WHERE e.stream = tenant AND e.seq >= first_seq AND e.at < midnight AND e.type = ANY(kinds)
    ), told AS (
        SELECT e.ticket_id, e.seq, e.project_id, e.type = 'ticket.created' AS is_new,
               CASE WHEN e.seq < first_seq THEN first_day - 1
                    ELSE greatest((e.at AT TIME ZONE 'UTC')::date, first_day) END AS date,
               CASE e.type WHEN 'ticket.created' THEN e.data ->> 'status'
                           WHEN 'ticket.status_changed' THEN e.data ->> 'to'
                           ELSE jsonb_path_query_first(e.data, '$.changes[*] ? (@.field == "status").to') #>> '{}' END AS status,
               CASE e.type WHEN 'ticket.created' THEN e.data ->> 'priority'
                           ELSE jsonb_path_query_first(e.data, '$.changes[*] ? (@.field == "priority").to') #>> '{}'
               END AS priority,
               CASE e.type WHEN 'ticket.removed' THEN false
                           WHEN 'ticket.created' THEN true
                           WHEN 'ticket.restored' THEN true END AS is_listed
        FROM touched JOIN events e ON e.stream = tenant AND e.ticket_id = touched.ticket_id
        WHERE e.at < midnight AND e.type = ANY(kinds)
    ), span AS (
        -- What an event does not tell is what the last one told that did.
        SELECT *, count(status) OVER ticket AS of_status, count(priority) OVER ticket AS of_priority,
               count(is_listed) OVER ticket AS of_listed
        FROM told WINDOW ticket AS (PARTITION BY ticket_id ORDER BY seq)
    ), state AS (
        SELECT ticket_id, seq, date, is_new, project_id,
               max(status) OVER (PARTITION BY ticket_id, of_status) AS status,
               max(priority) OVER (PARTITION BY ticket_id, of_priority) AS priority,
               bool_or(is_listed) OVER (PARTITION BY ticket_id, of_listed) AS is_listed
        FROM span
    ), staged AS (
        SELECT s.ticket_id, s.seq, s.date, s.is_new, s.project_id, s.priority, s.is_listed, w.stage,
               w.stage = 'done' AND lag(w.stage) OVER (PARTITION BY s.ticket_id ORDER BY s.seq) <> 'done' AS is_resolved
        FROM state s
        JOIN projects p ON p.company_id = tenant AND p.id = s.project_id
        JOIN word w ON w.scheme = p.scheme AND w.status = s.status
    ), evening AS (
        SELECT DISTINCT ON (ticket_id, date) ticket_id, date, project_id, stage, priority, is_listed
        FROM staged ORDER BY ticket_id, date, seq DESC
    ), moved AS (
        SELECT date, project_id, stage, priority, 1 AS sign, is_listed, lag(date) OVER ticket AS before,
               lag(project_id) OVER ticket AS former_project_id, lag(stage) OVER ticket AS former_stage,
               lag(priority) OVER ticket AS former_priority, lag(is_listed) OVER ticket AS was_listed
        FROM evening WINDOW ticket AS (PARTITION BY ticket_id ORDER BY date)
    ), change AS (
        SELECT date, project_id, stage, priority, 1 AS sign, 0 AS created, 0 AS resolved
        FROM moved WHERE is_listed
        UNION ALL
        SELECT date, former_project_id, former_stage, former_priority, -1, 0, 0 FROM moved WHERE was_listed
        UNION ALL
        SELECT date, project_id, NULL, NULL, 0, is_new::integer, coalesce(is_resolved, false)::integer FROM staged
        WHERE is_new OR is_resolved
    ), delta AS (
        SELECT project_id, date, sum(sign) AS total,
               sum(sign) FILTER (WHERE stage = 'open') AS open, sum(sign) FILTER (WHERE stage = 'triaged') AS triaged,
               sum(sign) FILTER (WHERE stage = 'in_progress') AS in_progress, sum(sign) FILTER (WHERE stage = 'done') AS done,
               sum(sign) FILTER (WHERE priority = 'low') AS low, sum(sign) FILTER (WHERE priority = 'medium') AS medium,
               sum(sign) FILTER (WHERE priority = 'high') AS high, sum(sign) FILTER (WHERE priority = 'critical') AS critical,
               sum(created) AS created, sum(resolved) AS resolved
        FROM change WHERE date >= first_day GROUP BY project_id, date
        UNION ALL
        SELECT project_id, first_day - 1, total_issues, open_issues, triaged_issues, in_progress_issues, done_issues,
               low_count, medium_count, high_count, critical_count, 0, 0
        FROM daily_stats WHERE company_id = tenant AND date = first_day - 1
    ), project AS (
        SELECT project_id, min(date) AS since FROM delta GROUP BY project_id
    ), day AS (
        SELECT p.project_id, d::date AS date FROM project p, generate_series(p.since, today, interval '1 day') AS d
    ), summed AS (
        SELECT day.project_id, day.date, sum(total) OVER days AS total, sum(open) OVER days AS open,
               sum(triaged) OVER days AS triaged, sum(in_progress) OVER days AS in_progress, sum(done) OVER days AS done,
               sum(low) OVER days AS low, sum(medium) OVER days AS medium, sum(high) OVER days AS high,
               sum(critical) OVER days AS critical, created, resolved
        FROM day LEFT JOIN delta ON delta.project_id = day.project_id AND delta.date = day.date
        WINDOW days AS (PARTITION BY day.project_id ORDER BY day.date)
    )
    INSERT INTO daily_stats AS s (company_id, project_id, date, total_issues, open_issues, triaged_issues,
                                  in_progress_issues, done_issues, low_count, medium_count, high_count, critical_count,
                                  created_count, resolved_count)
    SELECT tenant, project_id, date, total, coalesce(open, 0), coalesce(triaged, 0), coalesce(in_progress, 0),
           coalesce(done, 0), coalesce(low, 0), coalesce(medium, 0), coalesce(high, 0), coalesce(critical, 0),
           coalesce(created, 0), coalesce(resolved, 0)
    FROM summed WHERE date >= first_day
    ON CONFLICT (company_id, project_id, date) DO UPDATE SET
        total_issues = excluded.total_issues, open_issues = excluded.open_issues,
        triaged_issues = excluded.triaged_issues, in_progress_issues = excluded.in_progress_issues,
        done_issues = excluded.done_issues, low_count = excluded.low_count, medium_count = excluded.medium_count,
        high_count = excluded.high_count, critical_count = excluded.critical_count,
        created_count = excluded.created_count, resolved_count = excluded.resolved_count;

    INSERT INTO daily_stats_days AS k (company_id, date, last_seq, counted_at)
    SELECT tenant, d::date, greatest(first_seq - 1, (
               SELECT max(e.seq) FROM events e
               WHERE e.stream = tenant AND e.seq >= first_seq AND e.type = ANY(kinds)
                 AND e.at < (d::date + 1)::timestamp AT TIME ZONE 'UTC')), moment
    FROM generate_series(first_day, today, interval '1 day') AS d
    ON CONFLICT (company_id, date) DO UPDATE SET last_seq = excluded.last_seq, counted_at = excluded.counted_at;
END $$;
