-- A report in one statement: the reporter's row locked, a captcha token used up, application and company found or made,
-- the bug and its text written; gives what of it the caller does not know.
--
-- report: id, title, status, priority, tags; description, description_html, operating_system, device_type, app_version,
-- browser_version, contact_email; reporter_id, null for the anonymous; captcha, the hash in hex of a token that is used
-- up, or null; receipt, that of the secret of a receipt, or null; may_add_application; application, as
-- get_or_create_application takes it.
--
-- refused: null, or why nothing may be kept, so that the caller rolls back: 'account' of a reporter who is erased,
-- 'banned', 'captcha' for a token that was used before, 'application' for one that nobody has named and may_add_application
-- does not allow.
CREATE OR REPLACE FUNCTION report_bug(
    report jsonb, OUT refused text, OUT reported_at timestamptz, OUT username text, OUT email text,
    OUT application_id uuid, OUT application_name text, OUT application_url text, OUT application_is_new boolean,
    OUT company_id uuid, OUT company_name text, OUT company_domain text, OUT company_verified boolean,
    OUT company_is_new boolean
) LANGUAGE plpgsql AS $$
DECLARE
    reporter uuid := report->>'reporter_id';
    bug uuid := report->>'id';
BEGIN
    IF reporter IS NOT NULL THEN
        UPDATE users u SET last_active_at = now()
            WHERE u.id = reporter AND u.erased_at IS NULL AND (u.banned_at IS NULL OR u.banned_until <= now())
            RETURNING u.username, u.email INTO username, email;
        IF NOT FOUND THEN
            PERFORM FROM users u WHERE u.id = reporter AND u.erased_at IS NULL;
            refused := CASE WHEN FOUND THEN 'banned' ELSE 'account' END;
            RETURN;
        END IF;
    END IF;
    IF report->>'captcha' IS NOT NULL THEN
        INSERT INTO captcha_tokens (token_hash) VALUES (decode(report->>'captcha', 'hex')) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            refused := 'captcha';
            RETURN;
        END IF;
    END IF;

    SELECT a.application_id, a.company_id, a.application_is_new, a.company_is_new
        INTO application_id, company_id, application_is_new, company_is_new
        FROM get_or_create_application(report->'application') a;
    IF application_is_new AND NOT (report->>'may_add_application')::boolean THEN
        refused := 'application';
        RETURN;
    END IF;
    SELECT a.name, a.url, c.name, c.domain, c.verified
        INTO application_name, application_url, company_name, company_domain, company_verified
        FROM applications a LEFT JOIN companies c ON c.id = a.company_id WHERE a.id = application_id;

    INSERT INTO bugs AS b (id, title, status, priority, tags, application_id, assigned_company_id, reporter_id)
        VALUES (bug, report->>'title', report->>'status', report->>'priority',
                ARRAY(SELECT tag FROM jsonb_array_elements_text(report->'tags') WITH ORDINALITY AS t(tag, place)
                      ORDER BY place),
                application_id, company_id, reporter)
        RETURNING b.created_at INTO reported_at;
    INSERT INTO bug_texts (bug_id, description, description_html, operating_system, device_type, app_version,
                           browser_version, contact_email, receipt_hash)
        VALUES (bug, report->>'description', report->>'description_html', report->>'operating_system',
                report->>'device_type', report->>'app_version', report->>'browser_version', report->>'contact_email',
                decode(report->>'receipt', 'hex'));
END $$;
