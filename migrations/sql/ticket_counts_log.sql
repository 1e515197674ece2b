-- Log a change of the counts of tickets: a row for the count that a ticket leaves, and one for the count that it joins.
-- Both are inserted, so no transaction waits for another; a job folds them (ticket_counts_fold.sql).
CREATE OR REPLACE FUNCTION ticket_counts_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.project_id, OLD.status, OLD.category, OLD.priority, OLD.department, OLD.removed_at IS NULL)
       IS NOT DISTINCT FROM (NEW.project_id, NEW.status, NEW.category, NEW.priority, NEW.department, NEW.removed_at IS NULL) THEN
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') AND OLD.removed_at IS NULL THEN
        INSERT INTO ticket_count_changes (company_id, project_id, status, category, priority, department, count)
        VALUES (OLD.company_id, OLD.project_id, OLD.status, OLD.category, OLD.priority, coalesce(OLD.department, ''), -1);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') AND NEW.removed_at IS NULL THEN
        INSERT INTO ticket_count_changes (company_id, project_id, status, category, priority, department, count)
        VALUES (NEW.company_id, NEW.project_id, NEW.status, NEW.category, NEW.priority, coalesce(NEW.department, ''), 1);
    END IF;
    RETURN NULL;
END $$;
