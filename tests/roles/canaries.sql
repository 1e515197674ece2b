-- A secret in every column that only its owner, the company's members or admins may see. Two strangers, una and otto,
-- have none of their own. The word is in nothing else.

UPDATE users SET email = 'canary7f3a-' || username || '@people.example',
                 email_key = 'canary7f3a-' || username || '@people.example',
                 password_hash = '$argon2id$canary7f3a'
WHERE username NOT IN ('una', 'otto');
UPDATE sessions SET user_agent = 'canary7f3a', ip_address = 'canary7f3a'
WHERE user_id NOT IN (SELECT id FROM users WHERE username IN ('una', 'otto'));
UPDATE one_time_links SET email = 'canary7f3a@people.example';
UPDATE company_claims SET email = 'canary7f3a@chalk.example'
WHERE user_id NOT IN (SELECT id FROM users WHERE username IN ('una', 'otto'));
UPDATE user_identities SET subject = 'canary7f3a' || id, email = 'canary7f3a@people.example'
WHERE user_id NOT IN (SELECT id FROM users WHERE username IN ('una', 'otto'));
UPDATE oauth_requests SET return_to = 'canary7f3a';
UPDATE oauth_codes SET subject = 'canary7f3a', email = 'canary7f3a@people.example';
UPDATE report_contacts SET email = 'canary7f3a@people.example';
INSERT INTO sign_in_failures (id, account_hash, ip_address) VALUES (gen_random_uuid(), '', 'canary7f3a');

UPDATE bug_texts SET contact_email = 'canary7f3a@people.example'
WHERE bug_id NOT IN (SELECT b.id FROM bugs b JOIN companies c ON c.id = b.assigned_company_id
                     WHERE c.domain = 'ink.example');  -- otto's
UPDATE bugs SET title = 'canary7f3a', removed_reason = 'canary7f3a', tags = '{canary7f3a}'
WHERE removed_at IS NOT NULL;
UPDATE bug_texts SET description = 'canary7f3a', description_html = 'canary7f3a'
WHERE bug_id IN (SELECT id FROM bugs WHERE removed_at IS NOT NULL);
UPDATE comments SET content = 'canary7f3a', content_html = 'canary7f3a' WHERE removed_at IS NOT NULL;

UPDATE support_reports SET steps_to_reproduce = 'canary7f3a', page_title = 'canary7f3a',
                           browser_info = '{"name": "canary7f3a"}', capture = '{"console_errors": [{"m": "canary7f3a"}]}',
                           redactions = '[{"path": "canary7f3a", "kind": "token", "count": 1}]';
UPDATE support_screenshots SET name = 'canary7f3a' || id;

UPDATE webhooks SET url = 'https://hooks.paper.example/canary7f3a';
INSERT INTO webhook_attempts (id, delivery_id, at, ms, status, response)
SELECT gen_random_uuid(), id, now(), 1, 200, 'canary7f3a' FROM webhook_deliveries;

UPDATE workflow_rules SET name = 'canary7f3a', actions = '[{"type": "comment", "text": "canary7f3a"}]';
UPDATE workflow_runs SET reason = 'canary7f3a';

UPDATE bug_merges SET reason = 'canary7f3a';
INSERT INTO flags (id, bug_id, user_id, reason, note)
SELECT gen_random_uuid(), bugs.id, users.id, 'other', 'canary7f3a' FROM bugs, users WHERE username = 'bob';
UPDATE audit_logs SET details = 'canary7f3a', ip_address = 'canary7f3a', user_agent = 'canary7f3a';
