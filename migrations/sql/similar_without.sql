-- The postings of a block without those of one document. A posting has 7 bytes; matches at other offsets are ignored.
CREATE OR REPLACE FUNCTION similar_without(postings bytea, document int) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    behind int := 0;
    found int;
BEGIN
    LOOP
        found := position(int4send(document) IN substr(postings, behind + 1));
        IF found = 0 THEN
            RETURN postings;
        END IF;
        behind := behind + found;
        IF (behind - 1) % 7 = 0 THEN
            RETURN substr(postings, 1, behind - 1) || substr(postings, behind + 7);
        END IF;
    END LOOP;
END $$;
