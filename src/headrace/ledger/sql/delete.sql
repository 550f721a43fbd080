-- delete: jobs that are over, with their history and idempotency keys. $1 ids.
-- A job whose row or key is locked stays: a key must never outlive a job that was deleted.
WITH final AS (
    SELECT id FROM headrace.job
    WHERE id = ANY ($1::uuid[]) AND state >= 2
    ORDER BY id
    FOR UPDATE SKIP LOCKED
), kept_key AS (
    SELECT key, job_id FROM headrace.idempotency
    WHERE job_id IN (SELECT id FROM final)
    FOR UPDATE SKIP LOCKED
), free AS (
    SELECT id FROM final
    WHERE (SELECT count(*) FROM headrace.idempotency i WHERE i.job_id = final.id)
          = (SELECT count(*) FROM kept_key k WHERE k.job_id = final.id)
), gone AS (
    DELETE FROM headrace.job j USING free
    WHERE j.id = free.id AND j.state >= 2
    RETURNING j.id, j.queue_id, j.state
), keys AS (
    DELETE FROM headrace.idempotency WHERE job_id IN (SELECT id FROM gone)
), events AS (
    DELETE FROM headrace.job_event WHERE job_id IN (SELECT id FROM gone)
), tally AS (
    INSERT INTO headrace.counter_delta (queue_id, state, n)
    SELECT queue_id, state, -count(*) FROM gone GROUP BY queue_id, state
)
SELECT id FROM gone
