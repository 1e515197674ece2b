-- Append the postings of the documents after a number to the last blocks of their words, and begin new blocks where those
-- are full. On a large board this is done for a part of the words at a time (those with id modulo `parts` = `part`). A
-- posting has 4 bytes for the document's number, 2 for the day of its report, 1 for its weight. Only under the lock of the
-- index.
CREATE OR REPLACE FUNCTION similar_post(behind int, parts int, part int) RETURNS void LANGUAGE sql AS $$
    WITH posted AS MATERIALIZED (
        SELECT w.word, d.no, int4send(d.no) || substr(int4send(least(greatest(d.day, 0), 65535)), 3)
               || substr(d.weights, w.place::int, 1) AS posting
        FROM similar_docs d, unnest(d.words) WITH ORDINALITY AS w(word, place)
        WHERE d.no > behind AND w.word % parts = part
    ), counted AS MATERIALIZED (
        SELECT word, count(*)::int AS n FROM posted GROUP BY word
    ), counting AS (
        UPDATE similar_words w SET documents = w.documents + c.n FROM counted c WHERE w.id = c.word
    ), last AS MATERIALIZED (
        SELECT c.word, l.block, coalesce(l.n, 0) AS n
        FROM counted c LEFT JOIN LATERAL (
            SELECT b.block, b.n FROM similar_blocks b WHERE b.word = c.word ORDER BY b.block DESC LIMIT 1) AS l ON true
    ), placed AS (
        SELECT p.word, p.no, p.posting, l.block AS open,
               (least(l.n, 2048) + row_number() OVER (PARTITION BY p.word ORDER BY p.no) - 1) / 2048 AS chunk
        FROM posted p JOIN last l ON l.word = p.word
    )
    INSERT INTO similar_blocks AS b (word, block, n, postings)
    SELECT word, CASE WHEN chunk = 0 THEN coalesce(min(open), min(no)) ELSE min(no) END, count(*),
           string_agg(posting, ''::bytea ORDER BY no)
    FROM placed
    GROUP BY word, chunk
    ON CONFLICT (word, block) DO UPDATE SET n = b.n + excluded.n, postings = b.postings || excluded.postings
$$;
