-- ask_again: let jobs that a rate limit put off ask again, some at a time: it is another one now. It
-- reads all live jobs that wait for their time. $1 name, $2 how many at most. Returns how many.
WITH waiting AS (
    SELECT id, gen FROM headrace.job
    WHERE state = 0 AND owner IS NULL AND run_at > now() AND headers -> 'limits' -> 'waited' ? $1
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
    UPDATE headrace.job j
    SET run_at = now(), gen = j.gen + 1, xid = pg_current_xact_id(),
        headers = jsonb_set(j.headers, '{limits}', (j.headers -> 'limits') - 'waited')
    FROM waiting
    WHERE j.id = waiting.id AND j.gen = waiting.gen
    RETURNING j.id
)
SELECT count(*) AS n FROM changed
