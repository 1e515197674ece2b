-- Words that the stemmer drops, as lexemes marked with '=': a query of stop words alone is looked up in titles.
CREATE OR REPLACE FUNCTION search_stop_words(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg(DISTINCT '=' || w)), ''::tsvector)
        FROM unnest(string_to_array(lower(regexp_replace(search_words(t), '[!"#$%''()*,;=?\[\]\\^`{|}]+', ' ', 'g')), ' ')) AS w
        WHERE w <> '' AND ts_lexize('english_stem', w) = '{}');
