CREATE OR REPLACE FUNCTION similar_on_bug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO similar_pending (bug_id) VALUES (coalesce(NEW.id, OLD.id));
    RETURN NULL;
END $$;
