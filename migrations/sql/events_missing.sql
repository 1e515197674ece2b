-- What the board's tables say has happened and the event log lacks: the time before the log, and what a release without a
-- log wrote while one with it was running. Rows with ids before `since` are skipped (ids are ordered by time). Pictures are
-- left out: a removed one leaves no row.
--
-- If a row has no id that its event contains, the event is found by its time: it is written last in the transaction of the
-- row. Edited and withdrawn comments have no separate rows, so they are compared only in a full comparison, from the lowest
-- possible id on.
CREATE OR REPLACE FUNCTION events_missing(since uuid)
RETURNS TABLE (at timestamptz, type text, actor_id uuid, bug_id uuid, data jsonb) LANGUAGE sql STABLE AS $$
    SELECT b.created_at, 'bug.created', b.reporter_id, b.id,
           jsonb_build_object('application_id', b.application_id, 'priority', b.priority, 'status', coalesce(
               (SELECT from_status FROM status_changes s WHERE s.bug_id = b.id ORDER BY s.at, s.id LIMIT 1), b.status))
           || CASE WHEN b.external_id IS NULL THEN '{}'
                   ELSE jsonb_build_object('created_at', b.created_at) END
           || CASE WHEN length(b.external_id) <= 255 THEN jsonb_build_object('external_id', b.external_id) ELSE '{}' END
    FROM bugs b
    WHERE b.id >= since AND NOT EXISTS (SELECT FROM events e WHERE e.bug_id = b.id AND e.type = 'bug.created')
UNION ALL
    SELECT c.created_at, CASE WHEN c.is_company_response THEN 'response.created' ELSE 'comment.created' END,
           c.user_id, coalesce(c.origin_bug_id, c.bug_id),
           jsonb_build_object('comment_id', c.id)
           || CASE WHEN c.is_company_response THEN jsonb_build_object('company_id', c.company_id) ELSE '{}' END
    FROM comments c
    WHERE c.id >= since AND c.user_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.bug_id = coalesce(c.origin_bug_id, c.bug_id) AND e.type IN ('comment.created', 'response.created')
          AND (e.data ->> 'comment_id')::uuid = c.id)
UNION ALL
    SELECT c.edited_at, 'comment.edited', c.user_id, coalesce(c.origin_bug_id, c.bug_id),
           jsonb_build_object('comment_id', c.id)
    FROM comments c
    WHERE since = '00000000-0000-0000-0000-000000000000' AND c.edited_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.type = 'comment.edited' AND (e.data ->> 'comment_id')::uuid = c.id AND e.at >= c.edited_at)
UNION ALL
    SELECT c.removed_at, 'comment.removed', c.user_id, coalesce(c.origin_bug_id, c.bug_id),
           jsonb_build_object('comment_id', c.id)
    FROM comments c
    WHERE since = '00000000-0000-0000-0000-000000000000' AND c.removed_at IS NOT NULL AND c.moderated_at IS NULL
      AND c.user_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.type = 'comment.removed' AND (e.data ->> 'comment_id')::uuid = c.id)
UNION ALL
    SELECT s.at, 'status.changed', s.user_id, s.bug_id,
           jsonb_build_object('change_id', s.id, 'from', s.from_status, 'to', s.to_status, 'company_id', s.company_id)
    FROM status_changes s
    WHERE s.id >= since AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.bug_id = s.bug_id AND e.type = 'status.changed' AND (e.data ->> 'change_id')::uuid = s.id)
UNION ALL
    SELECT d.at, 'bug.edited', d.user_id, d.bug_id, jsonb_build_object('edit_id', d.id, 'fields',
           (SELECT coalesce(jsonb_agg(name), '[]') FROM jsonb_object_keys(d.before::jsonb) AS name))
    FROM bug_edits d
    WHERE d.id >= since AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.bug_id = d.bug_id AND e.type = 'bug.edited' AND (e.data ->> 'edit_id')::uuid = d.id)
UNION ALL
    SELECT m.at, 'bug.' || m.kind || 'd', m.user_id, place.bug_id, place.data
    FROM bug_merges m CROSS JOIN LATERAL (VALUES
        (m.source_bug_id, jsonb_build_object('target_id', m.target_bug_id)),
        (m.target_bug_id, jsonb_build_object('source_id', m.source_bug_id))) AS place (bug_id, data)
    WHERE m.id >= since AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.bug_id = place.bug_id AND e.type = 'bug.' || m.kind || 'd' AND e.type <> 'bug.voted'
          AND e.data = place.data
          AND e.at BETWEEN m.at AND m.at + interval '1 minute')
UNION ALL
    SELECT a.created_at, replace(a.action, '_', '.') || 'd', a.user_id, a.resource_id, '{}'::jsonb
    FROM audit_logs a
    WHERE a.id >= since AND a.action IN ('bug_remove', 'bug_restore') AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.bug_id = a.resource_id AND e.type = replace(a.action, '_', '.') || 'd' AND e.type <> 'bug.voted'
          AND e.at BETWEEN a.created_at AND a.created_at + interval '1 minute')
UNION ALL
    SELECT a.created_at, act.type, a.user_id, coalesce(c.origin_bug_id, c.bug_id),
           jsonb_build_object('comment_id', c.id) || act.how
    FROM audit_logs a JOIN comments c ON c.id = a.resource_id
    JOIN (VALUES ('comment_remove', 'comment.removed', '{"moderated": true}'::jsonb),
                 ('comment_restore', 'comment.created', '{"restored": true}')) AS act (action, type, how)
        ON act.action = a.action
    WHERE a.id >= since AND NOT EXISTS (
        SELECT FROM events e
        WHERE e.type = act.type AND (e.data ->> 'comment_id')::uuid = c.id AND e.data @> act.how
          AND e.at BETWEEN a.created_at AND a.created_at + interval '1 minute')
$$;
