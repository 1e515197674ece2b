-- Log a change of a search document: the old one (-1) and the new one (+1). Totals are updated from this log.
CREATE OR REPLACE FUNCTION ticket_search_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO ticket_search_changes (sign, company_id, document, status, category, priority, created_at)
        VALUES (-1, OLD.company_id, OLD.document, OLD.status, OLD.category, OLD.priority, OLD.created_at);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO ticket_search_changes (sign, company_id, document, status, category, priority, created_at)
        VALUES (1, NEW.company_id, NEW.document, NEW.status, NEW.category, NEW.priority, NEW.created_at);
    END IF;
    RETURN NULL;
END $$;
