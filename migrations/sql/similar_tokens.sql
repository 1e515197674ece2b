-- The words of a search document, with their frequencies in the title and in the description. Marked lexemes of the
-- document (tiers, stop words) have no positions.
CREATE OR REPLACE FUNCTION similar_tokens(document tsvector) RETURNS TABLE (word text, in_title int, in_description int)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lexeme, cardinality(array_positions(weights, 'A')), cardinality(array_positions(weights, 'D'))
    FROM unnest(document)
    WHERE weights && '{A,D}'
$$;
