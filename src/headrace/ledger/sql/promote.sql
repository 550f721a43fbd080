-- promote: jobs that wait for their time are due now, also those that need seats then. $1 ids, $2 actor.
WITH free AS (
    SELECT id FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND (state = 0 OR state = 1 AND links >= 2) AND owner IS NULL AND run_at > now()
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), promoted AS (
    UPDATE headrace.job j
    SET run_at = now(), gen = j.gen + 1, xid = pg_current_xact_id()
    FROM free
    WHERE j.id = free.id AND j.state <= 1 AND num_nulls(j.owner) = 1 AND j.run_at > now()
    RETURNING j.id, j.gen
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor)
    SELECT id, gen - 1, 'promote', $2::text FROM promoted
)
SELECT id FROM promoted
