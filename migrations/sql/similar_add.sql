-- Add bugs to similar_docs and return the number before theirs; similar_post writes their postings. A removed bug gets no
-- row. Only under the lock of the index (similar_fold), and for bugs that have no row.
CREATE OR REPLACE FUNCTION similar_add(wanted uuid[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    last int := coalesce((SELECT max(no) FROM similar_docs), 0);
BEGIN
    INSERT INTO similar_words (word)
    SELECT DISTINCT t.word
    FROM bugs b, similar_tokens(similar_document(b.id)) AS t
    WHERE b.id = ANY(wanted) AND b.removed_at IS NULL
      AND NOT EXISTS (SELECT FROM similar_words w WHERE w.word = t.word);

    WITH found AS MATERIALIZED (
        SELECT b.id AS bug_id, b.created_at, w.id AS word, coalesce(t.in_title, 0) AS in_title,
               coalesce(t.in_description, 0) AS in_description
        FROM bugs b LEFT JOIN LATERAL similar_tokens(similar_document(b.id)) AS t ON true
        LEFT JOIN similar_words w ON w.word = t.word
        WHERE b.id = ANY(wanted) AND b.removed_at IS NULL
    ), lengths AS MATERIALIZED (
        SELECT bug_id, sum(in_title)::int AS title, sum(in_description)::int AS description FROM found GROUP BY bug_id
    ), totals AS (
        INSERT INTO similar_totals AS t (id, documents, title_length, description_length)
        SELECT 1, count(*), coalesce(sum(title), 0), coalesce(sum(description), 0) FROM lengths
        ON CONFLICT (id) DO UPDATE SET documents = t.documents + excluded.documents,
            title_length = t.title_length + excluded.title_length,
            description_length = t.description_length + excluded.description_length
        RETURNING title_length::float8 / greatest(documents, 1) AS title,
            description_length::float8 / greatest(documents, 1) AS description
    ), weighed AS (
        SELECT f.bug_id, f.created_at, l.title, l.description, f.word, f.in_title,
               similar_weight(f.in_title, f.in_description, l.title, l.description, a.title, a.description) AS weight
        FROM found f JOIN lengths l ON l.bug_id = f.bug_id CROSS JOIN totals a
    )
    INSERT INTO similar_docs (bug_id, day, title_length, description_length, title_words, words, weights)
    SELECT bug_id, (created_at AT TIME ZONE 'UTC')::date - date '1970-01-01', title, description,
           coalesce(array_agg(word ORDER BY word) FILTER (WHERE in_title > 0), '{}'),
           coalesce(array_agg(word ORDER BY word) FILTER (WHERE word IS NOT NULL), '{}'),
           coalesce(string_agg(substr(int4send(weight), 4), ''::bytea ORDER BY word) FILTER (WHERE word IS NOT NULL), '')
    FROM weighed
    GROUP BY bug_id, created_at, title, description
    ORDER BY created_at, bug_id;
    RETURN last;
END $$;
