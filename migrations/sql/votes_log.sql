-- Note that a bug's votes have moved, for the job that tells the event log of them (domain/bugs/tasks.py).
CREATE OR REPLACE FUNCTION votes_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vote_changes VALUES (NEW.id);
    RETURN NULL;
END $$;
