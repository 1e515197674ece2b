-- Votes for one bug in one statement: one, or those that came while the bug's row was locked for others.
--
-- Every change of a vote locks the voter's row first, so the votes of one user come one after the other, and then the
-- bug's, so that a merge or a ban finds no vote half-way. The votes are done in the order given, and the counters move
-- once, by what the rows did.
--
-- wanted: for each voter 'cast', 'withdraw', or 'toggle' for whichever is not so.
-- Gives a row for each vote, in order. refused: null, or 'banned', or 'account' for one that is erased, or 'busy' for one
-- of several whose row somebody else has locked, to be asked again alone; votes: the count as it stands with this vote.
-- Error BR404: no such bug, or one that is removed or merged away; nothing is changed.
CREATE OR REPLACE FUNCTION vote(the_bug uuid, voters uuid[], wanted text[])
RETURNS TABLE (refused text, voted boolean, changed boolean, votes integer) LANGUAGE plpgsql AS $$
DECLARE
    locked uuid[];
    eligible uuid[];
    step integer;
    recent_step integer;
    steps integer := 0;
    recent_steps integer := 0;
BEGIN
    -- Whoever holds several rows waits for none: nobody waits in a circle.
    IF cardinality(voters) = 1 THEN
        PERFORM FROM users WHERE id = voters[1] FOR NO KEY UPDATE;
        locked := voters;
    ELSE
        WITH free AS (SELECT id FROM users WHERE id = ANY (voters) FOR NO KEY UPDATE SKIP LOCKED)
        SELECT array_agg(id) INTO locked FROM free;
    END IF;
    WITH touched AS (
        UPDATE users SET last_active_at = now()
        WHERE id = ANY (locked) AND erased_at IS NULL AND (banned_at IS NULL OR banned_until < now())
        RETURNING id
    )
    SELECT array_agg(id) INTO eligible FROM touched;
    -- From here to the COMMIT everybody else who votes for the bug waits.
    SELECT vote_count INTO votes FROM bugs
        WHERE id = the_bug AND removed_at IS NULL AND merged_into_id IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such bug' USING ERRCODE = 'BR404';
    END IF;

    FOR i IN 1 .. cardinality(voters) LOOP
        refused := NULL;
        voted := false;
        changed := false;
        IF voters[i] = ANY (eligible) THEN
            step := 0;
            recent_step := 0;
            voted := wanted[i] = 'cast';
            IF NOT voted THEN
                -- A vote that a ban no longer counts, of a ban that is over but not lifted yet, moves no counter.
                DELETE FROM bug_votes WHERE bug_id = the_bug AND user_id = voters[i]
                    RETURNING -counted::integer, -(counted AND is_recent)::integer INTO step, recent_step;
                IF NOT FOUND THEN
                    step := 0;
                    recent_step := 0;
                    voted := wanted[i] = 'toggle';
                END IF;
            END IF;
            IF voted THEN
                INSERT INTO bug_votes (bug_id, user_id) VALUES (the_bug, voters[i]) ON CONFLICT DO NOTHING;
                IF FOUND THEN
                    step := 1;
                    recent_step := 1;
                ELSE
                    -- One that a merge brought is this bug's own from now on.
                    UPDATE bug_votes SET merged_from_id = NULL
                        WHERE bug_id = the_bug AND user_id = voters[i] AND merged_from_id IS NOT NULL;
                END IF;
            END IF;
            changed := step <> 0;
            votes := votes + step;
            steps := steps + step;
            recent_steps := recent_steps + recent_step;
        ELSIF EXISTS (SELECT FROM users WHERE id = voters[i] AND erased_at IS NULL) THEN
            refused := CASE WHEN voters[i] = ANY (locked) THEN 'banned' ELSE 'busy' END;
        ELSE
            refused := 'account';
        END IF;
        RETURN NEXT;
    END LOOP;
    IF steps <> 0 OR recent_steps <> 0 THEN
        UPDATE bugs SET vote_count = vote_count + steps, recent_vote_count = recent_vote_count + recent_steps
            WHERE id = the_bug;
    END IF;
END $$;
