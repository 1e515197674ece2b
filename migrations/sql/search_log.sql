CREATE OR REPLACE FUNCTION search_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (-1, OLD.document, OLD.status, OLD.priority, OLD.tags, OLD.application_id, OLD.assigned_company_id, OLD.reporter_id,
                OLD.created_at);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (1, NEW.document, NEW.status, NEW.priority, NEW.tags, NEW.application_id, NEW.assigned_company_id, NEW.reporter_id,
                NEW.created_at);
    END IF;
    RETURN NULL;
END $$;
