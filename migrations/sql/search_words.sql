-- The words of a text. Punctuation from which the parser would make host names, paths, signed numbers and tags is replaced
-- by spaces, so that `std::vector`, `foo_bar`, `a.b.c` and `<T>` are words; other punctuation separates words anyway.
-- Scripts without spaces are left to search_grams.
CREATE OR REPLACE FUNCTION search_words(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE
    WHEN octet_length(t) = char_length(t) THEN regexp_replace(t, '[&+\-./:<>@_~]+', ' ', 'g')
    ELSE regexp_replace(t, '[&+\-./:<>@_~\u00A0\u2018\u2019\u201C\u201D\u201E\u00AB\u00BB\u2013\u2014\u2026\u00B7\u2060\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3000-\u3002\u3005-\u3007\u300C\u300D\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]+', ' ', 'g')
END;
