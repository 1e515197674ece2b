CREATE OR REPLACE FUNCTION search_field(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN to_tsvector('bugrelay', search_words(search_plain(t)) || ' ' || search_grams(search_plain(t)) || ' ' || search_parts(t));
