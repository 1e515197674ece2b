CREATE OR REPLACE FUNCTION search_new_era() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE tag_counts, tag_changes;
    DELETE FROM bug_search_era;
    INSERT INTO bug_search_era VALUES (gen_random_uuid());
    RETURN NULL;
END $$;
