CREATE OR REPLACE FUNCTION search_on_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(NEW.bug_id);
    RETURN NULL;
END $$;
