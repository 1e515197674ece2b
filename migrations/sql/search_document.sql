-- A bug's search document: title (A), application name (B), description (D), and the tiers of its words.
-- docs/adr/0005-search.md has the reasons; infra/search/parser.py parses queries by the same rules.
CREATE OR REPLACE FUNCTION search_document(title text, application_name text, description text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    words tsvector := setweight(search_field(title), 'A') || setweight(search_field(application_name), 'B')
        || setweight(search_field(description), 'D');
BEGIN
    RETURN words || search_layers(words) || search_stop_words(title);
END $$;
