CREATE OR REPLACE FUNCTION search_on_application() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(id) FROM bugs WHERE application_id = NEW.id;
    RETURN NULL;
END $$;
