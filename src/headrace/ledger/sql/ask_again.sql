-- ask_again: let jobs that a rate limit put off ask again, some at a time: it is another one now. It
-- reads all jobs that wait for their time, and those that need seats then. $1 name, $2 how many at most. Returns how many.
WITH waiting AS (
    SELECT id, gen FROM headrace.job
    WHERE state = 0 AND owner IS NULL AND run_at > now() AND headers -> 'limits' -> 'waited' ? $1
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
), seatless AS (
    SELECT j.id, j.gen FROM headrace.seat s JOIN headrace.job j ON j.id = s.job_id
    WHERE s.phase = 0 AND s.due > now() AND j.state = 1 AND j.headers -> 'limits' -> 'waited' ? $1
    LIMIT $2
    FOR NO KEY UPDATE OF j SKIP LOCKED
), changed AS (
    UPDATE headrace.job j
    SET run_at = now(), gen = j.gen + 1, xid = pg_current_xact_id(),
        headers = jsonb_set(j.headers, '{limits}', (j.headers -> 'limits') - 'waited')
    FROM (TABLE waiting UNION ALL TABLE seatless) AS asked
    WHERE j.id = asked.id AND j.gen = asked.gen
    RETURNING j.id
)
SELECT count(*) AS n FROM changed
