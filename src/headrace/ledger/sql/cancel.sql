-- cancel: jobs that no worker has are not wanted any more. $1 ids, $2 actor, $3 the error that tells
-- who and why (JSON), $4 whether the lane does not know of it.
-- Locked rows are left alone (A7); the state is tested before and after the lock.
WITH free AS (
    SELECT id, state FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND state IN (0, 1) AND owner IS NULL
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), cancelled AS (
    UPDATE headrace.job j
    SET state = 4, gen = j.gen + 1, xid = pg_current_xact_id(), settled_at = now(), error = $3::jsonb
    FROM free
    WHERE j.id = free.id AND j.state = free.state AND num_nulls(j.owner) = 1
    RETURNING j.id, j.gen, j.queue_id, free.state AS was
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, moved.state, sum(moved.n)
    FROM cancelled, LATERAL (VALUES (cancelled.was, -1), (4::smallint, 1)) AS moved (state, n)
    GROUP BY queue_id, moved.state
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, 'cancelled', $2::text, $3::jsonb FROM cancelled
), untold AS (
    INSERT INTO headrace.untold (job_id) SELECT id FROM cancelled WHERE $4::boolean
    ON CONFLICT DO NOTHING
)
SELECT id FROM cancelled
