-- The level at which a user follows a bug, defined once; null for a user who does not follow it, 'none' by choice.
--
-- chosen: the level that they chose; reported, commented, voted: what they did; at_most: their default level, null for
-- 'all'.
CREATE OR REPLACE FUNCTION subscription_level(
    chosen text, reported boolean, commented boolean, voted boolean, at_most text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN chosen IS NOT NULL THEN chosen
        WHEN reported OR commented THEN coalesce(at_most, 'all')
        WHEN voted THEN 'resolved'
    END
$$;
