-- A vote in one statement, so that on a bug that everybody votes for the row is locked for no round trip.
--
-- Every change of a vote locks the voter's row first, so the votes of one user come one after the other, and then the
-- bug's, so that a merge or a ban finds no vote half-way; the counters move by what the rows did. Nothing is written
-- before both are known to be there and in order.
--
-- wanted: 'cast', 'withdraw', or 'toggle' for whichever is not so.
-- refused: null, or 'account' (erased), 'banned', 'bug' (not there, removed or merged away).
CREATE FUNCTION vote(
    the_bug uuid, the_user uuid, wanted text,
    OUT refused text, OUT voted boolean, OUT changed boolean, OUT votes integer
) LANGUAGE plpgsql AS $$
DECLARE
    step integer := 0;
    recent_step integer := 0;
BEGIN
    SELECT CASE WHEN banned_at IS NULL OR banned_until < now() THEN NULL ELSE 'banned' END INTO refused
        FROM users WHERE id = the_user AND erased_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        refused := 'account';
    END IF;
    IF refused IS NULL THEN
        PERFORM FROM bugs WHERE id = the_bug AND removed_at IS NULL AND merged_into_id IS NULL FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            refused := 'bug';
        END IF;
    END IF;
    IF refused IS NOT NULL THEN
        RETURN;
    END IF;

    voted := wanted = 'cast';
    changed := false;
    IF wanted <> 'cast' THEN
        -- A vote that a ban no longer counts, of a ban that has ended but is not lifted yet, moves no counter.
        DELETE FROM bug_votes WHERE bug_id = the_bug AND user_id = the_user
            RETURNING -counted::integer, -(counted AND is_recent)::integer INTO step, recent_step;
        IF NOT FOUND THEN
            step := 0;
            recent_step := 0;
            voted := wanted = 'toggle';
        END IF;
    END IF;
    IF voted THEN
        INSERT INTO bug_votes (bug_id, user_id) VALUES (the_bug, the_user) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            step := 1;
            recent_step := 1;
        ELSE
            -- One that a merge brought is this bug's own from now on.
            UPDATE bug_votes SET merged_from_id = NULL
                WHERE bug_id = the_bug AND user_id = the_user AND merged_from_id IS NOT NULL;
        END IF;
    END IF;
    changed := step <> 0;
    UPDATE users SET last_active_at = now() WHERE id = the_user;
    IF changed THEN
        UPDATE bugs SET vote_count = vote_count + step, recent_vote_count = recent_vote_count + recent_step
            WHERE id = the_bug RETURNING vote_count INTO votes;
    ELSE
        SELECT vote_count INTO votes FROM bugs WHERE id = the_bug;
    END IF;
END $$;
