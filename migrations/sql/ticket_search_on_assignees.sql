-- Once for each ticket of a statement, however many assignees it has.
CREATE OR REPLACE FUNCTION ticket_search_on_assignees() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ticket_search_refresh(ticket_id) FROM (SELECT DISTINCT ticket_id FROM assigned) AS changed;
    RETURN NULL;
END $$;
