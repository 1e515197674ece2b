-- An attempt to sign in to an account is counted before its password is checked: by a row for an attempt in progress.
-- Attempts for one account are counted one after another, each in a separate transaction, so concurrent ones gain nothing.
--
-- known: whether the account's owner has had a session at this address; attempts from elsewhere do not lock it then.
-- Returns outcome 'counted'; or 'busy': those in progress could use up the limit, so ask again; or 'locked', or
-- 'locked from elsewhere', and for how many seconds. Only a counted attempt leaves a row.
CREATE OR REPLACE FUNCTION count_guess(
    guess uuid, account bytea, address text, known boolean,
    free_here integer, free_anywhere integer, first_wait interval, guess_window interval, checked_within interval
)
RETURNS TABLE (outcome text, seconds double precision) LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
    free_at timestamptz := '-infinity';
    wrong_here bigint;
    last_here timestamptz;
    under_way_here bigint;
    anywhere bigint;
    first_anywhere timestamptz;
BEGIN
    -- No other advisory lock of ours has two keys.
    PERFORM pg_advisory_xact_lock(7203473, ('x' || encode(substr(account, 1, 4), 'hex'))::bit(32)::integer);
    moment := clock_timestamp();
    SELECT count(*) FILTER (WHERE ip_address = address AND NOT under_way),
           max(at) FILTER (WHERE ip_address = address AND NOT under_way),
           count(*) FILTER (WHERE ip_address = address AND under_way),
           count(*), min(at)
      INTO wrong_here, last_here, under_way_here, anywhere, first_anywhere
      FROM sign_in_failures
     WHERE account_hash = account AND at > moment - guess_window
       AND (NOT under_way OR at > moment - checked_within);
    IF wrong_here >= free_here THEN
        free_at := last_here + least(first_wait * 2 ^ least(wrong_here - free_here, 10), guess_window);
    END IF;
    IF anywhere >= free_anywhere AND NOT known THEN
        outcome := 'locked from elsewhere';
        free_at := greatest(free_at, first_anywhere + guess_window);
    ELSIF free_at > moment THEN
        outcome := 'locked';
    ELSIF under_way_here >= greatest(1, free_here - wrong_here) THEN
        outcome := 'busy';
    ELSE
        outcome := 'counted';
        INSERT INTO sign_in_failures (id, account_hash, ip_address, under_way, at)
        VALUES (guess, account, address, true, moment);
    END IF;
    seconds := greatest(0, extract(epoch FROM CASE WHEN free_at > moment THEN free_at - moment END));
    RETURN NEXT;
END $$;
