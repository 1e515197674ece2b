-- A ticket's search document: its title (A), the words of its key (C), its description (D), the tiers of its words, and
-- marked lexemes that searches filter by, so that one index scan finds only what the user may see:
--   ^t company  ^s scheme  ^p project  ^r reporter  ^a assignee  ^d department  ^# tag  ^k number of the key  ^m month of creation
-- Words are split like those of bugs (search_document.sql). No text can forge a mark: PostgreSQL's parser drops '^'.
-- docs/adr/0039-tickets-in-lists.md has the reasons; domain/tickets/search/query.py uses the same marks.
CREATE OR REPLACE FUNCTION ticket_document(ticket tickets, assignees uuid[]) RETURNS tsvector
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    words tsvector := setweight(search_field(ticket.title), 'A') || setweight(search_field(ticket.key), 'C')
        || setweight(search_field(ticket.description), 'D');
    scheme text := (SELECT p.scheme FROM projects p WHERE p.company_id = ticket.company_id AND p.id = ticket.project_id);
    moment timestamp := ticket.created_at AT TIME ZONE 'UTC';
BEGIN
    RETURN words || search_layers(words) || search_stop_words(ticket.title) || array_to_tsvector(
        array_remove(ARRAY['^t' || ticket.company_id, '^s' || scheme, '^p' || ticket.project_id,
              '^r' || ticket.reporter_id, '^k' || substring(ticket.key FROM '[0-9]+$'),
              '^m' || (extract(year FROM moment) * 12 + extract(month FROM moment))::integer], NULL)
        || (SELECT coalesce(array_agg('^a' || assignee), '{}') FROM unnest(assignees) AS assignee)
        || (SELECT coalesce(array_agg('^#' || tag), '{}') FROM unnest(ticket.tags) AS tag)
        || CASE WHEN ticket.department <> '' THEN ARRAY['^d' || ticket.department] ELSE '{}' END
    );
END $$;
