-- Full-text search: how a text becomes a search document, and the triggers that keep every document true, whoever
-- writes. docs/adr/0005-search.md has the reasons; domain/bugs/search.py prepares a query by the same rules.

CREATE TEXT SEARCH CONFIGURATION bugrelay (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION bugrelay
    ALTER MAPPING FOR word, numword, asciiword WITH unaccent, english_stem;

-- Full-width letters and other compatibility forms become plain ones.
CREATE FUNCTION search_plain(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN octet_length(t) = char_length(t) THEN t ELSE normalize(t, NFKC) END;

-- The words of a text: the punctuation that would make host names, paths, numbers with signs and tags of it separates
-- words instead, so that `std::vector`, `foo_bar`, `a.b.c` and `<T>` are words; the rest separates for the parser
-- anyway. Scripts written without spaces are left to search_grams.
CREATE FUNCTION search_words(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE
    WHEN octet_length(t) = char_length(t) THEN regexp_replace(t, '[&+\-./:<>@_~]+', ' ', 'g')
    ELSE regexp_replace(t, '[&+\-./:<>@_~\u00A0\u2018\u2019\u201C\u201D\u201E\u00AB\u00BB\u2013\u2014\u2026\u00B7\u2060\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3000-\u3002\u3005-\u3007\u300C\u300D\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]+', ' ', 'g')
END;

-- Overlapping pairs of characters for each run of a script without spaces, then its single characters:
-- 登录失败 gives "登录 录失 失败 登 录 失 败". A phrase of pairs finds any part of a run.
CREATE FUNCTION search_grams(t text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    run text;
    pairs text := '';
    singles text := '';
BEGIN
    IF octet_length(t) = char_length(t) THEN
        RETURN '';
    END IF;
    FOR run IN SELECT m[1] FROM regexp_matches(t, '[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3005-\u3007\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]+', 'g') AS m
    LOOP
        FOR i IN 1 .. char_length(run) - 1 LOOP
            pairs := pairs || ' ' || substr(run, i, 2);
        END LOOP;
        FOR i IN 1 .. char_length(run) LOOP
            singles := singles || ' ' || substr(run, i, 1);
        END LOOP;
    END LOOP;
    RETURN pairs || ' ' || singles;
END $$;

-- The parts of camel-case identifiers: NullPointerException gives "Null Pointer Exception".
CREATE FUNCTION search_parts(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(string_agg(regexp_replace(regexp_replace(m[1], '([a-z0-9])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g'), ' '), '')
        FROM regexp_matches(t, '([A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*)', 'g') AS m);

-- Words that the stemmer drops, as lexemes marked with '=': a query of stop words alone is looked up in titles.
CREATE FUNCTION search_stop_words(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg(DISTINCT '=' || w)), ''::tsvector)
        FROM unnest(string_to_array(lower(regexp_replace(search_words(t), '[!"#$%''()*,;=?\[\]\\^`{|}]+', ' ', 'g')), ' ')) AS w
        WHERE w <> '' AND ts_lexize('english_stem', w) = '{}');

CREATE FUNCTION search_field(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN to_tsvector('bugrelay', search_words(search_plain(t)) || ' ' || search_grams(search_plain(t)) || ' ' || search_parts(t));

-- Title (A), application name (B), description (D).
CREATE FUNCTION search_document(title text, application_name text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN setweight(search_field(title), 'A') || setweight(search_field(application_name), 'B')
    || setweight(search_field(description), 'D') || search_stop_words(title);

-- One bug's document made anew; a bug that is removed or merged away has none.
CREATE FUNCTION search_refresh(refreshed uuid) RETURNS void
LANGUAGE sql AS $$
    WITH shown AS (
        SELECT b.id, search_document(b.title, a.name, t.description) AS document
        FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
        WHERE b.id = refreshed AND b.removed_at IS NULL AND b.merged_into_id IS NULL
    ), gone AS (
        DELETE FROM bug_search WHERE bug_id = refreshed AND NOT EXISTS (SELECT FROM shown)
    )
    INSERT INTO bug_search (bug_id, document) SELECT id, document FROM shown
    ON CONFLICT (bug_id) DO UPDATE SET document = excluded.document
$$;

CREATE FUNCTION search_on_bug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION search_on_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(NEW.bug_id);
    RETURN NULL;
END $$;

CREATE FUNCTION search_on_application() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(id) FROM bugs WHERE application_id = NEW.id;
    RETURN NULL;
END $$;

-- A bug is inserted before its text, so the text's trigger makes the first document.
CREATE TRIGGER search_on_bug AFTER UPDATE OF title, application_id, removed_at, merged_into_id ON bugs
    FOR EACH ROW EXECUTE FUNCTION search_on_bug();
CREATE TRIGGER search_on_text AFTER INSERT OR UPDATE OF description ON bug_texts
    FOR EACH ROW EXECUTE FUNCTION search_on_text();
CREATE TRIGGER search_on_application AFTER UPDATE OF name ON applications
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION search_on_application();
