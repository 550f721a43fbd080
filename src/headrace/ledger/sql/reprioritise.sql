-- reprioritise: another priority for jobs that no worker has. $1 ids, $2 actor, $3 priority.
WITH free AS (
    SELECT id, priority FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND state IN (0, 1) AND owner IS NULL AND priority <> $3::smallint
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
), changed AS (
    UPDATE headrace.job j
    SET priority = $3::smallint, gen = j.gen + 1, xid = pg_current_xact_id()
    FROM free
    WHERE j.id = free.id AND j.state IN (0, 1) AND num_nulls(j.owner) = 1
    RETURNING j.id, j.gen, free.priority AS was
), history AS (
    INSERT INTO headrace.job_event (job_id, gen, kind, actor, data)
    SELECT id, gen - 1, 'reprioritise', $2::text, jsonb_build_object('from', was, 'to', $3::smallint)
    FROM changed
)
SELECT id FROM changed
