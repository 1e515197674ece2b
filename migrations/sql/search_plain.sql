-- Replaces full-width letters and other compatibility forms by plain ones.
CREATE OR REPLACE FUNCTION search_plain(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN octet_length(t) = char_length(t) THEN t ELSE normalize(t, NFKC) END;
