-- Remove bugs from the index of similar bugs. Only under its lock (similar_fold).
CREATE OR REPLACE FUNCTION similar_remove(wanted uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gone similar_docs;
BEGIN
    FOR gone IN DELETE FROM similar_docs WHERE bug_id = ANY(wanted) RETURNING * LOOP
        UPDATE similar_blocks b SET postings = similar_without(b.postings, gone.no), n = b.n - 1
        FROM (SELECT word, (SELECT max(l.block) FROM similar_blocks l WHERE l.word = w.word AND l.block <= gone.no) AS block
              FROM unnest(gone.words) AS w(word)) AS holding
        WHERE b.word = holding.word AND b.block = holding.block;
        DELETE FROM similar_blocks WHERE word = ANY(gone.words) AND n = 0;
        UPDATE similar_words SET documents = documents - 1 WHERE id = ANY(gone.words);
        UPDATE similar_totals SET documents = documents - 1, title_length = title_length - gone.title_length,
            description_length = description_length - gone.description_length;
    END LOOP;
END $$;
