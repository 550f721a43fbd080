-- sweep_default: delete the expired among the next rows of DEFAULT, with their events (A6).
-- $1 after this id, $2 how many to walk, $3 seconds that a job is kept once it is over.
-- Returns how many are gone and the last id walked, null at the end.
WITH walked AS MATERIALIZED (
    SELECT id, state, settled_at FROM headrace.job_default WHERE id > $1 ORDER BY id LIMIT $2
), expired AS (
    SELECT j.id FROM headrace.job_default j JOIN walked w ON w.id = j.id
    WHERE w.state IN (2, 4) AND w.settled_at < now() - $3::float8 * interval '1 second'
    ORDER BY j.id
    FOR UPDATE OF j SKIP LOCKED
), gone AS (
    DELETE FROM headrace.job_default j USING expired
    WHERE j.id = expired.id AND j.state IN (2, 4)
    RETURNING j.id, j.queue_id, j.state
), events AS (
    DELETE FROM headrace.job_event WHERE job_id IN (SELECT id FROM gone)
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, state, -count(*) FROM gone GROUP BY queue_id, state
)
SELECT (SELECT count(*) FROM gone) AS gone,
       (SELECT id FROM walked ORDER BY id DESC LIMIT 1) AS last
