-- A vote counts as recent for 30 days; bugs.recent_vote_count, which `trending` sorts by, follows the vote's date.
-- A job touches the votes that have aged (domain/bugs/tasks.py).
CREATE OR REPLACE FUNCTION vote_dated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_recent := NEW.created_at > now() - interval '30 days';
    IF NEW.is_recent <> OLD.is_recent AND NEW.counted THEN
        UPDATE bugs SET recent_vote_count = recent_vote_count + CASE WHEN NEW.is_recent THEN 1 ELSE -1 END
        WHERE id = NEW.bug_id;
    END IF;
    RETURN NEW;
END $$;
