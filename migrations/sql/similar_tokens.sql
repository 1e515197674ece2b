-- The words of a search document, with how often the title and the description have each. What the document keeps
-- beside its words (layers, stop words) has no positions.
CREATE OR REPLACE FUNCTION similar_tokens(document tsvector) RETURNS TABLE (word text, in_title int, in_description int)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lexeme, cardinality(array_positions(weights, 'A')), cardinality(array_positions(weights, 'D'))
    FROM unnest(document)
    WHERE weights && '{A,D}'
$$;
