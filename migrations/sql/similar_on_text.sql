CREATE OR REPLACE FUNCTION similar_on_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO similar_pending (bug_id) VALUES (NEW.bug_id);
    RETURN NULL;
END $$;
