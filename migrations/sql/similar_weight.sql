-- The weight of a word in a bug, from 1 to 255: BM25F over title and description, without the word's rarity. Lengths are in
-- words: of the fields, and their averages over the board.
CREATE OR REPLACE FUNCTION similar_weight(
    in_title int, in_description int, title_length float8, description_length float8, title_average float8,
    description_average float8) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(1, round(255 * frequency / (2.4 + frequency)))::int
    FROM (SELECT 8 * in_title / (0.7 + 0.3 * title_length / greatest(title_average, 1))
               + in_description / (0.2 + 0.8 * description_length / greatest(description_average, 1)) AS frequency) AS weighed
$$;
