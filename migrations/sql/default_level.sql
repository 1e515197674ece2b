-- The maximum level of subscriptions by reporting, being assigned and commenting.
CREATE OR REPLACE FUNCTION default_level(follower uuid) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT n.default_level FROM notice_settings n WHERE n.user_id = follower), 'all')
$$;
