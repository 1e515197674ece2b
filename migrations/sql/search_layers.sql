-- The score of a word in a document is 10 for the title, 4 for the application's name, 1 for the description, each once. A
-- word that scores 10, 11 or 14 is in the document a second time, with the prefix '^1', '^2' or '^3', so that the index
-- alone finds the bugs that can rank highest. No text can forge these: the parser drops '^'.
CREATE OR REPLACE FUNCTION search_layers(document tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg('^' || layer.name || scored.lexeme)), ''::tsvector)
        FROM (SELECT lexeme, (10 * ('A' = ANY(weights))::int + 4 * ('B' = ANY(weights))::int + ('D' = ANY(weights))::int) AS score
              FROM unnest(document) WHERE 'A' = ANY(weights)) AS scored,
             (VALUES ('1', 10), ('2', 11), ('3', 14)) AS layer(name, least)
        WHERE scored.score >= layer.least);
