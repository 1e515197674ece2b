CREATE OR REPLACE FUNCTION tags_fold() RETURNS void LANGUAGE sql AS $$
    WITH taken AS (DELETE FROM tag_changes RETURNING name, sign),
    moved AS (SELECT name, sum(sign) AS by FROM taken GROUP BY name HAVING sum(sign) <> 0 ORDER BY name)
    INSERT INTO tag_counts SELECT name, by FROM moved
    ON CONFLICT (name) DO UPDATE SET count = tag_counts.count + excluded.count;
    DELETE FROM tag_counts WHERE count = 0;
$$;
