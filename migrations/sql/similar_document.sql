-- The search document of a bug that is not removed: the stored one of a listed bug, built here for a merged bug. Only the
-- former contains the application's name; similar_tokens leaves it out of both.
CREATE OR REPLACE FUNCTION similar_document(wanted uuid) RETURNS tsvector
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT document FROM bug_search WHERE bug_id = wanted),
        (SELECT search_document(b.title, '', t.description) FROM bugs b JOIN bug_texts t ON t.bug_id = b.id WHERE b.id = wanted))
$$;
