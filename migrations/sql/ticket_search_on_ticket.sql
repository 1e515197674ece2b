-- If no word has changed, the document and its index entries stay: status and priority change often.
CREATE OR REPLACE FUNCTION ticket_search_on_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.title, OLD.key, OLD.description, OLD.project_id, OLD.reporter_id, OLD.department,
                             OLD.tags, OLD.created_at, OLD.removed_at)
       IS NOT DISTINCT FROM (NEW.title, NEW.key, NEW.description, NEW.project_id, NEW.reporter_id, NEW.department,
                             NEW.tags, NEW.created_at, NEW.removed_at) THEN
        UPDATE ticket_search SET status = NEW.status, category = NEW.category, priority = NEW.priority
        WHERE ticket_id = NEW.id;
    ELSE
        PERFORM ticket_search_refresh(NEW.id);
    END IF;
    RETURN NULL;
END $$;
