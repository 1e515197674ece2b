"""The checks of the database: each row that a statement returns is one problem, as a sentence."""

from __future__ import annotations

from typing import Final, LiteralString

# A merged bug is not shown, so its counters are not compared.
CHECKS: Final[tuple[LiteralString, ...]] = (
    """
    SELECT format('bug %s: vote_count is %s, its counted votes are %s', b.id, b.vote_count, coalesce(v.n, 0))
    FROM bugs b LEFT JOIN (
        SELECT bug_id, count(*) AS n FROM bug_votes WHERE counted GROUP BY bug_id
    ) v ON v.bug_id = b.id
    WHERE b.merged_into_id IS NULL AND b.vote_count <> coalesce(v.n, 0)
    """,
    """
    SELECT format('bug %s: recent_vote_count is %s, its recent counted votes are %s',
                  b.id, b.recent_vote_count, coalesce(v.n, 0))
    FROM bugs b LEFT JOIN (
        SELECT bug_id, count(*) AS n FROM bug_votes WHERE counted AND is_recent GROUP BY bug_id
    ) v ON v.bug_id = b.id
    WHERE b.merged_into_id IS NULL AND b.recent_vote_count <> coalesce(v.n, 0)
    """,
    """
    SELECT format('bug %s: comment_count is %s, its visible comments are %s', b.id, b.comment_count, coalesce(c.n, 0))
    FROM bugs b LEFT JOIN (
        SELECT bug_id, count(*) AS n FROM comments WHERE removed_at IS NULL GROUP BY bug_id
    ) c ON c.bug_id = b.id
    WHERE b.merged_into_id IS NULL AND b.comment_count <> coalesce(c.n, 0)
    """,
    """
    SELECT format('vote of user %s for bug %s: counts, but the user is banned', v.user_id, v.bug_id)
    FROM bug_votes v JOIN users u ON u.id = v.user_id
    WHERE v.counted AND u.banned_at IS NOT NULL AND coalesce(u.banned_until, 'infinity') > now()
    """,
    """
    SELECT format('vote of user %s for bug %s: does not count, but the user is not banned', v.user_id, v.bug_id)
    FROM bug_votes v JOIN users u ON u.id = v.user_id
    WHERE NOT v.counted AND u.banned_at IS NULL AND u.erased_at IS NULL
    """,
    """
    SELECT format('bug %s: is %s, but resolved_at is %s', id, status, coalesce(resolved_at::text, 'empty'))
    FROM bugs WHERE (status IN ('fixed', 'wont_fix')) <> (resolved_at IS NOT NULL)
    """,
    """
    SELECT format('ticket %s: attachment_count is %s, its files are %s', t.id, t.attachment_count, coalesce(a.n, 0))
    FROM tickets t LEFT JOIN (
        SELECT ticket_id, count(*) AS n FROM ticket_attachments WHERE storage_key IS NOT NULL GROUP BY ticket_id
    ) a ON a.ticket_id = t.id
    WHERE t.attachment_count <> coalesce(a.n, 0)
    """,
    """
    SELECT format('bug %s: assigned_company_id is %s, its application belongs to %s',
                  b.id, coalesce(b.assigned_company_id::text, 'empty'), coalesce(a.company_id::text, 'no company'))
    FROM bugs b JOIN applications a ON a.id = b.application_id
    WHERE b.assigned_company_id IS DISTINCT FROM a.company_id
    """,
    """
    WITH RECURSIVE chain AS (
        SELECT id, merged_into_id FROM bugs WHERE merged_into_id IS NOT NULL
        UNION ALL
        SELECT chain.id, b.merged_into_id FROM chain JOIN bugs b ON b.id = chain.merged_into_id
    ) CYCLE id, merged_into_id SET in_circle USING path
    SELECT DISTINCT format('bug %s: is merged into itself, by way of others', id)
    FROM chain WHERE in_circle OR id = merged_into_id
    """,
    """
    SELECT format('tag %s: its count is %s, the bugs that have it are %s', coalesce(c.name, t.name),
                  coalesce(c.n, 0), coalesce(t.n, 0))
    FROM (
        SELECT name, sum(n) AS n
        FROM (SELECT name, count AS n FROM tag_counts UNION ALL SELECT name, sign FROM tag_changes) AS kept
        GROUP BY name
    ) c FULL JOIN (
        SELECT name, count(*) AS n FROM bugs, unnest(tags) AS name
        WHERE removed_at IS NULL AND merged_into_id IS NULL GROUP BY name
    ) t ON t.name = c.name
    WHERE coalesce(c.n, 0) <> coalesce(t.n, 0)
    """,
    """
    SELECT format('project %s: tickets that are %s, %s and %s, for %s: %s, counted are %s',
                  coalesce(c.project_id, t.project_id), coalesce(c.status, t.status),
                  coalesce(c.category, t.category), coalesce(c.priority, t.priority),
                  coalesce(nullif(coalesce(c.department, t.department), ''), 'no department'), coalesce(t.n, 0),
                  coalesce(c.n, 0))
    FROM (
        SELECT company_id, project_id, status, category, priority, department, sum(count) AS n
        FROM (SELECT * FROM ticket_counts UNION ALL SELECT * FROM ticket_count_changes) AS kept
        GROUP BY company_id, project_id, status, category, priority, department
    ) c FULL JOIN (
        SELECT company_id, project_id, status, category, priority, coalesce(department, '') AS department, count(*) AS n
        FROM tickets WHERE removed_at IS NULL
        GROUP BY company_id, project_id, status, category, priority, coalesce(department, '')
    ) t ON t.company_id = c.company_id AND t.project_id = c.project_id AND t.status = c.status
       AND t.category = c.category AND t.priority = c.priority AND t.department = c.department
    WHERE coalesce(c.n, 0) <> coalesce(t.n, 0)
    """,
    """
    SELECT format('ticket %s: %s', id, CASE
        WHEN NOT visible THEN 'is removed, but can be searched'
        WHEN found IS NULL THEN 'cannot be searched'
        WHEN copied IS DISTINCT FROM original THEN 'what a search filters by is not what the ticket says'
        ELSE 'its search document is not that of its text' END)
    FROM (
        SELECT t.id, t.removed_at IS NULL AS visible, s.document AS found,
               ticket_document(t, coalesce(a.user_ids, '{}')) AS document,
               (s.company_id, s.status, s.category, s.priority, s.created_at) AS copied,
               (t.company_id, t.status, t.category, t.priority, t.created_at) AS original
        FROM tickets t LEFT JOIN ticket_search s ON s.ticket_id = t.id LEFT JOIN (
            SELECT company_id, ticket_id, array_agg(user_id) AS user_ids FROM ticket_assignees
            GROUP BY company_id, ticket_id
        ) a ON a.company_id = t.company_id AND a.ticket_id = t.id
    ) AS ticket
    WHERE CASE WHEN visible THEN copied IS DISTINCT FROM original OR found IS DISTINCT FROM document
               ELSE found IS NOT NULL END
    """,
    """
    WITH counted AS (
        SELECT DISTINCT ON (company_id) company_id, date, last_seq FROM daily_stats_days ORDER BY company_id, date DESC
    ), from_log AS (
        SELECT e.stream AS company_id, e.ticket_id, (array_agg(e.project_id ORDER BY e.seq DESC))[1] AS project_id,
               (array_agg(e.type <> 'ticket.removed' ORDER BY e.seq DESC) FILTER (
                   WHERE e.type IN ('ticket.created', 'ticket.removed', 'ticket.restored')))[1] AS is_listed
        FROM counted c JOIN events e ON e.stream = c.company_id AND e.seq <= c.last_seq
        WHERE e.type IN ('ticket.created', 'ticket.changed', 'ticket.status_changed', 'ticket.removed',
                         'ticket.restored')
        GROUP BY e.stream, e.ticket_id
    ), truth AS (
        SELECT company_id, project_id, count(*) AS n FROM from_log WHERE is_listed GROUP BY company_id, project_id
    )
    SELECT format('project %s: its statistics of %s have %s tickets (%s by stage, %s by priority), the event log %s',
                  s.project_id, s.date, s.total_issues, by_stage, by_priority, coalesce(t.n, 0))
    FROM counted c JOIN daily_stats s ON s.company_id = c.company_id AND s.date = c.date
    CROSS JOIN LATERAL (
        SELECT s.open_issues + s.triaged_issues + s.in_progress_issues + s.done_issues AS by_stage,
               s.low_count + s.medium_count + s.high_count + s.critical_count AS by_priority
    ) AS sums
    LEFT JOIN truth t ON t.company_id = s.company_id AND t.project_id = s.project_id
    WHERE s.total_issues <> coalesce(t.n, 0) OR s.total_issues <> by_stage OR s.total_issues <> by_priority
    """,
    "SELECT format('bug %s: has no text', id) FROM bugs b WHERE NOT EXISTS (SELECT FROM bug_texts WHERE bug_id = b.id)",
    """
    SELECT format('bug %s: %s', id, CASE
        WHEN NOT visible THEN 'cannot be seen, but can be searched'
        WHEN found IS NULL THEN 'cannot be searched'
        WHEN copied IS DISTINCT FROM original THEN 'what a search filters by is not what the bug says'
        ELSE 'its search document is not that of its text' END)
    FROM (
        SELECT b.id, b.removed_at IS NULL AND b.merged_into_id IS NULL AS visible, b.title, a.name, t.description,
               s.document AS found,
               (s.status, s.priority, s.tags, s.application_id, s.assigned_company_id,
                s.reporter_id, s.created_at) AS copied,
               (b.status, b.priority, b.tags, b.application_id, b.assigned_company_id,
                b.reporter_id, b.created_at) AS original
        FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
        LEFT JOIN bug_search s ON s.bug_id = b.id
    ) AS bug
    WHERE CASE WHEN visible THEN copied IS DISTINCT FROM original
                                 OR found IS DISTINCT FROM search_document(title, name, description)
               ELSE found IS NOT NULL END
    """,
    """
    SELECT format('bug %s: %s', bug_id, CASE
        WHEN NOT indexed THEN 'is not in the index of similar bugs, and not pending'
        WHEN NOT wanted THEN 'is removed, but in the index of similar bugs'
        ELSE 'the index of similar bugs has other words or another day than the bug' END)
    FROM (
        SELECT coalesce(b.id, d.bug_id) AS bug_id, b.id IS NOT NULL AND b.removed_at IS NULL AS wanted,
               d.bug_id IS NOT NULL AS indexed,
               (d.day, d.title_length, d.description_length, d.title_words, d.words) AS indexed_as,
               ((b.created_at AT TIME ZONE 'UTC')::date - date '1970-01-01',
                words.title_length, words.description_length, words.of_title, words.of_both) AS bug
        FROM bugs b LEFT JOIN bug_texts t ON t.bug_id = b.id FULL JOIN similar_docs d ON d.bug_id = b.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(found.in_title), 0)::int AS title_length,
                   coalesce(sum(found.in_description), 0)::int AS description_length,
                   coalesce(array_agg(w.id ORDER BY w.id) FILTER (WHERE found.in_title > 0), '{}') AS of_title,
                   coalesce(array_agg(w.id ORDER BY w.id), '{}') AS of_both
            FROM similar_tokens(search_document(b.title, '', t.description)) AS found
            LEFT JOIN similar_words w ON w.word = found.word
        ) AS words
        WHERE NOT EXISTS (SELECT FROM similar_pending p WHERE p.bug_id = coalesce(b.id, d.bug_id))
    ) AS compared
    WHERE indexed <> wanted OR indexed AND indexed_as IS DISTINCT FROM bug
    """,
    """
    SELECT format('word %s of the index of similar bugs: its postings are not those of the bugs that have it',
                  coalesce(w.word, posted.word::text))
    FROM (
        SELECT word, count(*) AS n, sum(hashtext((
            int4send(no) || substr(int4send(least(greatest(day, 0), 65535)), 3) || substr(weights, position::int, 1)
            )::text)) AS hash
        FROM similar_docs, unnest(words) WITH ORDINALITY AS of(word, position)
        GROUP BY word
    ) AS truth FULL JOIN (
        SELECT word, count(*) AS n, sum(hashtext(substr(postings, at, 7)::text)) AS hash,
               bool_or(length(postings) <> 7 * n
                       OR substr(postings, at, 4) NOT BETWEEN int4send(block) AND int4send(last)) AS misplaced
        FROM (
            SELECT *, lead(block, 1, 2147483647) OVER (PARTITION BY word ORDER BY block) - 1 AS last FROM similar_blocks
        ) AS blocks, generate_series(1, length(postings), 7) AS at
        GROUP BY word
    ) AS posted ON posted.word = truth.word FULL JOIN similar_words w ON w.id = coalesce(truth.word, posted.word)
    WHERE (coalesce(w.documents, 0), coalesce(truth.hash, 0), coalesce(truth.n, 0))
          <> (coalesce(truth.n, 0), coalesce(posted.hash, 0), coalesce(posted.n, 0)) OR posted.misplaced
    """,
    """
    SELECT format('the index of similar bugs is said to have %s documents of %s and %s words, it has %s of %s and %s',
                  coalesce(said.documents, 0), coalesce(said.title_length, 0), coalesce(said.description_length, 0),
                  truth.n, truth.title, truth.description)
    FROM (
        SELECT count(*) AS n, coalesce(sum(title_length), 0) AS title,
               coalesce(sum(description_length), 0) AS description
        FROM similar_docs
    ) AS truth LEFT JOIN similar_totals said ON true
    WHERE (coalesce(said.documents, 0), coalesce(said.title_length, 0), coalesce(said.description_length, 0))
          <> (truth.n, truth.title, truth.description)
    """,
    """
    SELECT format('stream %s of the event log: its last number is %s, its events are %s of the numbers %s to %s',
                  coalesce(s.stream, e.stream), coalesce(s.last_seq::text, 'missing'), coalesce(e.n, 0),
                  coalesce(e.first::text, '-'), coalesce(e.last::text, '-'))
    FROM event_streams s FULL JOIN (
        SELECT stream, count(*) AS n, min(seq) AS first, max(seq) AS last FROM events GROUP BY stream
    ) e ON e.stream = s.stream
    WHERE (s.last_seq, s.last_seq, coalesce(e.first, 1)) IS DISTINCT FROM (coalesce(e.n, 0), coalesce(e.last, 0), 1)
    """,
    """
    SELECT format('consumer %s of the event log: has read up to %s of stream %s, which ends at %s',
                  c.consumer, c.seq, c.stream, coalesce(s.last_seq, 0))
    FROM event_cursors c LEFT JOIN event_streams s ON s.stream = c.stream
    WHERE c.seq > coalesce(s.last_seq, 0)
    """,
    """
    SELECT format('consumer %s of the event log: failed at evt_%s_%s %s times: %s',
                  consumer, stream, seq + 1, attempts, error)
    FROM event_cursors WHERE attempts > 0
    """,
    """
    SELECT format('bug %s: %s', coalesce(s.bug_id, e.bug_id), CASE
        WHEN e.id IS NULL THEN format('the event log does not have its change of status %s', s.id)
        WHEN s.id IS NULL THEN format('the event log has a change of status %s that the bug does not have', e.id)
        ELSE format('the event log has other values for its change of status %s', s.id) END)
    FROM status_changes s FULL JOIN (
        SELECT (data ->> 'change_id')::uuid AS id, bug_id, actor_id, data FROM events WHERE type = 'status.changed'
        UNION ALL
        SELECT (data ->> 'change_id')::uuid, bug_id, actor_id, data FROM missing_events WHERE type = 'status.changed'
    ) e ON e.id = s.id
    WHERE (s.id, s.bug_id, s.user_id, s.from_status, s.to_status, s.company_id) IS DISTINCT FROM
          (e.id, e.bug_id, e.actor_id, e.data ->> 'from', e.data ->> 'to', (e.data ->> 'company_id')::uuid)
    """,
    """
    SELECT format('fan-out %s of notices: %s', f.id, CASE
        WHEN e.seq IS NULL THEN format('evt_%s_%s is not in the event log', f.stream, f.seq)
        WHEN e.ticket_id IS DISTINCT FROM f.ticket_id THEN 'its event is of another ticket'
        WHEN e.bug_id IS DISTINCT FROM f.bug_id THEN 'its event is of another bug'
        WHEN b.id IS NULL AND f.bug_id IS NOT NULL THEN format('there is no bug %s', f.bug_id)
        WHEN f.comment_id IS NOT NULL AND c.id IS NULL THEN format('there is no comment %s', f.comment_id)
        ELSE format('there is no user %s', f.actor_id) END)
    FROM notice_fan_outs f
    LEFT JOIN events e ON e.stream = f.stream AND e.seq = f.seq
    LEFT JOIN bugs b ON b.id = f.bug_id
    LEFT JOIN (SELECT id FROM comments UNION ALL SELECT id FROM ticket_comments) c ON c.id = f.comment_id
    LEFT JOIN users u ON u.id = f.actor_id
    WHERE e.seq IS NULL OR e.ticket_id IS DISTINCT FROM f.ticket_id OR e.bug_id IS DISTINCT FROM f.bug_id
        OR b.id IS NULL AND f.bug_id IS NOT NULL OR f.comment_id IS NOT NULL AND c.id IS NULL
        OR f.actor_id IS NOT NULL AND u.id IS NULL
    """,
    """
    SELECT format('notice %s: %s', n.id, CASE
        WHEN f.id IS NULL THEN format('names fan-out %s, which is not there', n.fan_out_id)
        WHEN n.user_id IS NOT NULL AND u.id IS NULL THEN format('names user %s, who is not there', n.user_id)
        WHEN u.erased_at IS NOT NULL THEN format('names user %s, whose account was erased', n.user_id)
        ELSE format('names mail %s, which is not there', n.mail_id) END)
    FROM notices n
    LEFT JOIN notice_fan_outs f ON f.id = n.fan_out_id
    LEFT JOIN users u ON u.id = n.user_id
    LEFT JOIN notice_mails m ON m.id = n.mail_id
    WHERE f.id IS NULL OR n.user_id IS NOT NULL AND u.id IS NULL OR u.erased_at IS NOT NULL
        OR n.mail_id IS NOT NULL AND m.id IS NULL
    """,
    """
    SELECT format('notice %s: is in mail %s, which goes to somebody else', n.id, m.id)
    FROM notices n JOIN notice_mails m ON m.id = n.mail_id
    LEFT JOIN report_contacts k ON k.id = n.contact_id
    LEFT JOIN report_contacts o ON o.id = m.contact_id
    WHERE n.user_id IS DISTINCT FROM m.user_id
        OR n.contact_id <> m.contact_id AND o.id IS NOT NULL AND k.address_key IS DISTINCT FROM o.address_key
    """,
    """
    SELECT format('bug %s: %s', t.bug_id, CASE
        WHEN t.receipt_hash IS NULL THEN format('its receipt is gone, but address %s of its owner is not', k.id)
        ELSE 'has a receipt, but was reported with an account' END)
    FROM bug_texts t JOIN bugs b ON b.id = t.bug_id LEFT JOIN report_contacts k ON k.bug_id = t.bug_id
    WHERE t.receipt_hash IS NULL AND k.id IS NOT NULL OR t.receipt_hash IS NOT NULL AND b.reporter_id IS NOT NULL
    """,
    """
    SELECT format('ticket %s: counts %s public and %s internal comments, it has %s and %s', t.key, t.comment_count,
                  t.internal_comment_count, coalesce(c.public, 0), coalesce(c.internal, 0))
    FROM tickets t LEFT JOIN (
        SELECT company_id, ticket_id, count(*) FILTER (WHERE NOT is_internal) AS public,
               count(*) FILTER (WHERE is_internal) AS internal
        FROM ticket_comments WHERE removed_at IS NULL GROUP BY company_id, ticket_id
    ) c ON c.company_id = t.company_id AND c.ticket_id = t.id
    WHERE (t.comment_count, t.internal_comment_count) <> (coalesce(c.public, 0), coalesce(c.internal, 0))
    """,
    """
    SELECT format('ticket %s: its key does not lead to it', t.id)
    FROM tickets t LEFT JOIN ticket_keys k ON k.company_id = t.company_id AND k.key = t.key
    WHERE k.ticket_id IS DISTINCT FROM t.id
    """,
    """
    SELECT format('project %s: has given numbers up to %s, a ticket of it has %s', p.key, coalesce(n.last, 0), t.last)
    FROM (SELECT company_id, project_id, max(number) AS last FROM tickets GROUP BY company_id, project_id) t
    JOIN projects p ON p.id = t.project_id
    LEFT JOIN (
        SELECT company_id, project_id, max(last_number) AS last FROM ticket_numbers GROUP BY company_id, project_id
    ) n ON n.company_id = t.company_id AND n.project_id = t.project_id
    WHERE t.last > coalesce(n.last, 0)
    """,
    """
    SELECT format('ticket %s: is %s, in the event log it is %s', t.key, t.status, coalesce(e.status, 'missing'))
    FROM tickets t LEFT JOIN (
        SELECT DISTINCT ON (stream, ticket_id) stream, ticket_id, coalesce(data ->> 'to', data ->> 'status') AS status
        FROM events WHERE type IN ('ticket.created', 'ticket.status_changed')
        ORDER BY stream, ticket_id, seq DESC
    ) e ON e.stream = t.company_id AND e.ticket_id = t.id
    WHERE e.status IS DISTINCT FROM t.status
    """,
)
