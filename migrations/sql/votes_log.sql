-- Note that a bug's votes have changed, for the job that writes events of votes (domain/bugs/tasks.py).
CREATE OR REPLACE FUNCTION votes_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vote_changes VALUES (NEW.id);
    RETURN NULL;
END $$;
