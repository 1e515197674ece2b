-- Find the application with a name and a domain, or create it; unique indexes decide every race.
--
-- A new domain gets a company, which is not verified. The application that is found cannot be assigned to another company
-- until the transaction ends: either the assignment waits and sees the new bug, or the bug sees the assignment.
--
-- wanted: name, name_key, domain ('' for none), url; company_domain, null if the domain cannot identify a company; and
-- application_id, company_id, the ids for new rows.
CREATE OR REPLACE FUNCTION get_or_create_application(
    wanted jsonb, OUT application_id uuid, OUT company_id uuid, OUT application_is_new boolean, OUT company_is_new boolean
) LANGUAGE plpgsql AS $$
DECLARE
    place text := wanted->>'company_domain';
BEGIN
    application_is_new := false;
    company_is_new := false;
    SELECT a.id, a.company_id INTO application_id, company_id FROM applications a
        WHERE a.name_key = wanted->>'name_key' AND a.domain = wanted->>'domain' FOR SHARE;
    IF FOUND THEN
        RETURN;
    END IF;
    IF place IS NOT NULL THEN
        INSERT INTO companies AS c (id, name, domain, url)
            VALUES ((wanted->>'company_id')::uuid, place, place, 'https://' || place)
            ON CONFLICT (domain) DO NOTHING RETURNING c.id INTO company_id;
        company_is_new := FOUND;
        IF NOT company_is_new THEN
            SELECT c.id INTO company_id FROM companies c WHERE c.domain = place;
        END IF;
    END IF;
    INSERT INTO applications AS a (id, name, name_key, domain, url, company_id)
        VALUES ((wanted->>'application_id')::uuid, wanted->>'name', wanted->>'name_key', wanted->>'domain',
                wanted->>'url', company_id)
        ON CONFLICT (name_key, domain) DO NOTHING RETURNING a.id INTO application_id;
    application_is_new := FOUND;
    IF NOT application_is_new THEN
        SELECT a.id, a.company_id INTO STRICT application_id, company_id FROM applications a
            WHERE a.name_key = wanted->>'name_key' AND a.domain = wanted->>'domain' FOR SHARE;
    END IF;
END $$;
