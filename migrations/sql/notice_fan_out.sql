-- One step of notifying the followers of a bug or ticket of an event: at most so many, in the order of their ids, and the
-- mails to them.
--
-- The position is written with the notices, so an interrupted step leaves nothing, and the next one continues after the last
-- complete step. Confirmed addresses of anonymous reports are notified in the first step; an address of several reports is
-- one recipient, under the id of the row that was confirmed first. Returns how many were notified, how many mails are due at
-- once, and whether all followers have been notified.
CREATE OR REPLACE FUNCTION notice_fan_out(the_fan_out uuid, most integer)
RETURNS TABLE (told bigint, due bigint, finished boolean) LANGUAGE plpgsql AS $$
DECLARE
    event notice_fan_outs;
    survivor uuid;
    is_gone boolean;
    after uuid;
    last uuid;
    passed bigint;
BEGIN
    -- One step at a time, of whichever event: so the mails of the last hour are counted exactly, and two steps never
    -- lock the digests of the same people in another order.
    PERFORM pg_advisory_xact_lock(7203477);
    SELECT * INTO event FROM notice_fan_outs f WHERE f.id = the_fan_out AND f.finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0::bigint, 0::bigint, true;
        RETURN;
    END IF;
    survivor := bug_survivor(event.bug_id);
    IF event.ticket_id IS NULL THEN
        is_gone := survivor IS NULL OR (event.comment_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM comments c WHERE c.id = event.comment_id AND c.removed_at IS NULL
        ));
    ELSE
        is_gone := event.comment_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM ticket_comments c
            WHERE c.company_id = event.stream AND c.id = event.comment_id AND c.removed_at IS NULL
        );
    END IF;
    IF is_gone THEN
        UPDATE notice_fan_outs SET finished_at = now() WHERE id = the_fan_out;
        RETURN QUERY SELECT 0::bigint, 0::bigint, true;
        RETURN;
    END IF;
    after := coalesce(event.position, '00000000-0000-0000-0000-000000000000');

    -- Whoever is among the first of all is among the first of each source that knows them, so each is read no further.
    WITH merged (id) AS MATERIALIZED (SELECT merged_bugs(survivor)),
    chosen AS MATERIALIZED (
        SELECT DISTINCT ON (s.user_id) s.user_id, s.level
        FROM merged m CROSS JOIN LATERAL (
            SELECT * FROM bug_subscriptions b WHERE b.bug_id = m.id AND b.user_id > after
            ORDER BY b.user_id LIMIT most
        ) s
        ORDER BY s.user_id, s.bug_id <> survivor, s.chosen_at DESC
    ),
    reported AS MATERIALIZED (
        SELECT DISTINCT b.reporter_id AS user_id FROM merged m JOIN bugs b ON b.id = m.id
        WHERE b.reporter_id > after
    ),
    commented AS MATERIALIZED (
        SELECT DISTINCT c.user_id FROM comments c
        WHERE c.bug_id = survivor AND c.user_id > after AND c.removed_at IS NULL
        ORDER BY c.user_id LIMIT most
    ),
    voted AS MATERIALIZED (
        SELECT v.user_id FROM bug_votes v WHERE v.bug_id = survivor AND v.user_id > after
        ORDER BY v.user_id LIMIT most
    ),
    on_ticket AS MATERIALIZED (
        SELECT t.user_id FROM (
            SELECT s.user_id FROM ticket_subscriptions s
            WHERE s.company_id = event.stream AND s.ticket_id = event.ticket_id
            UNION SELECT r.reporter_id FROM tickets r WHERE r.company_id = event.stream AND r.id = event.ticket_id
            UNION SELECT a.user_id FROM ticket_assignees a
            WHERE a.company_id = event.stream AND a.ticket_id = event.ticket_id
            UNION SELECT c.author_id FROM ticket_comments c
            WHERE c.company_id = event.stream AND c.ticket_id = event.ticket_id AND c.removed_at IS NULL
        ) t
        WHERE t.user_id > after
        ORDER BY t.user_id LIMIT most
    ),
    step AS MATERIALIZED (
        SELECT s.user_id FROM (
            SELECT user_id FROM chosen UNION SELECT user_id FROM reported
            UNION SELECT user_id FROM commented UNION SELECT user_id FROM voted UNION SELECT user_id FROM on_ticket
        ) s
        ORDER BY s.user_id LIMIT most
    ),
    users_told AS MATERIALIZED (
        SELECT u.id AS user_id, NULL::uuid AS contact_id, u.id AS recipient_id,
            CASE WHEN u.is_email_verified THEN coalesce(n.mail, 'each') ELSE 'none' END AS mode
        FROM step s
        JOIN users u ON u.id = s.user_id
        LEFT JOIN chosen ON chosen.user_id = s.user_id
        LEFT JOIN reported ON reported.user_id = s.user_id
        LEFT JOIN commented ON commented.user_id = s.user_id
        LEFT JOIN voted ON voted.user_id = s.user_id
        LEFT JOIN notice_settings n ON n.user_id = s.user_id
        WHERE u.id IS DISTINCT FROM event.actor_id
            AND u.erased_at IS NULL AND (u.banned_at IS NULL OR u.banned_until <= now())
            AND subscription_level(
                chosen.level, reported.user_id IS NOT NULL, commented.user_id IS NOT NULL, voted.user_id IS NOT NULL,
                n.default_level
            ) = ANY (event.levels)
    ),
    company_told AS MATERIALIZED (
        SELECT u.id AS user_id, NULL::uuid AS contact_id, u.id AS recipient_id,
            CASE WHEN u.is_email_verified THEN coalesce(n.mail, 'each') ELSE 'none' END AS mode
        FROM on_ticket t
        JOIN users u ON u.id = t.user_id
        CROSS JOIN LATERAL ticket_subscription(event.stream, event.ticket_id, u.id) f
        LEFT JOIN notice_settings n ON n.user_id = u.id
        WHERE u.id IS DISTINCT FROM event.actor_id AND f.level = ANY (event.levels)
            AND sees_ticket(event.stream, event.ticket_id, u.id, event.is_internal)
    ),
    addresses_told AS MATERIALIZED (
        SELECT DISTINCT ON (one.id) k.id AS contact_id, one.id AS recipient_id
        FROM merged m
        JOIN report_contacts k ON k.bug_id = m.id AND k.confirmed_at IS NOT NULL
        CROSS JOIN LATERAL (
            SELECT c.id FROM report_contacts c
            WHERE c.confirmed_at IS NOT NULL AND (c.id = k.id OR c.address_key = k.address_key)
            ORDER BY c.confirmed_at, c.id LIMIT 1
        ) one
        WHERE event.position IS NULL AND k.level = ANY (event.levels)
        ORDER BY one.id, k.bug_id <> survivor, k.id
    ),
    people AS MATERIALIZED (
        SELECT * FROM users_told
        UNION ALL
        SELECT * FROM company_told
        UNION ALL
        SELECT NULL, a.contact_id, a.recipient_id, 'each' FROM addresses_told a
    ),
    -- More than five an hour become one digest; while one is open, everything goes into it.
    recipients AS MATERIALIZED (
        SELECT p.*, CASE WHEN p.user_id IS NULL THEN p.recipient_id END AS address_id, uuid7() AS notice_id,
            CASE
                WHEN p.mode = 'none' THEN NULL
                WHEN p.mode = 'digest'
                    OR EXISTS (
                        SELECT FROM notice_mails d
                        WHERE d.recipient_id = p.recipient_id AND d.kind = 'digest' AND d.sealed_at IS NULL
                    )
                    OR 5 <= (
                        SELECT count(*) FROM notice_mails m
                        WHERE m.recipient_id = p.recipient_id AND m.kind = 'notice'
                            AND m.made_at > now() - interval '1 hour'
                    ) THEN 'digest'
                ELSE 'notice'
            END AS kind
        FROM people p
    ),
    single AS (
        INSERT INTO notice_mails (id, user_id, contact_id, kind, due_at, sealed_at)
        SELECT r.notice_id, r.user_id, r.address_id, 'notice', now(), now() FROM recipients r WHERE r.kind = 'notice'
    ),
    digest AS (
        INSERT INTO notice_mails AS open (id, user_id, contact_id, kind, due_at)
        SELECT uuid7(), r.user_id, r.address_id, 'digest',
            now() + CASE r.mode WHEN 'digest' THEN interval '1 day' ELSE interval '1 hour' END
        FROM recipients r WHERE r.kind = 'digest'
        -- Locks the row: nobody seals it before this notice is in it.
        ON CONFLICT (recipient_id) WHERE kind = 'digest' AND sealed_at IS NULL DO UPDATE SET due_at = open.due_at
        RETURNING open.id, open.recipient_id
    ),
    notice AS (
        INSERT INTO notices (id, fan_out_id, user_id, contact_id, mail_id)
        SELECT r.notice_id, the_fan_out, r.user_id, r.contact_id,
            CASE r.kind WHEN 'notice' THEN r.notice_id ELSE d.id END
        FROM recipients r LEFT JOIN digest d ON d.recipient_id = r.recipient_id
    )
    SELECT
        (SELECT count(*) FROM recipients),
        (SELECT count(*) FROM recipients r WHERE r.kind = 'notice'),
        (SELECT count(*) FROM step),
        (SELECT s.user_id FROM step s ORDER BY s.user_id DESC LIMIT 1)
    INTO told, due, passed, last;

    finished := passed < most;
    UPDATE notice_fan_outs f
    SET position = coalesce(last, after), finished_at = CASE WHEN finished THEN now() END
    WHERE f.id = the_fan_out;
    RETURN NEXT;
END
$$;
