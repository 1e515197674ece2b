CREATE OR REPLACE FUNCTION ticket_search_new_era() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE ticket_counts, ticket_count_changes;
    DELETE FROM ticket_search_era;
    INSERT INTO ticket_search_era VALUES (gen_random_uuid());
    RETURN NULL;
END $$;
