-- Overlapping pairs of characters for each run of a script without spaces, then its single characters:
-- 登录失败 gives "登录 录失 失败 登 录 失 败". A phrase of pairs finds any part of a run.
CREATE OR REPLACE FUNCTION search_grams(t text) RETURNS text
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
