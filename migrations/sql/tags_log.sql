CREATE OR REPLACE FUNCTION tags_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.tags = NEW.tags THEN
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO tag_changes SELECT name, -1 FROM unnest(OLD.tags) AS name;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO tag_changes SELECT name, 1 FROM unnest(NEW.tags) AS name;
    END IF;
    RETURN NULL;
END $$;
