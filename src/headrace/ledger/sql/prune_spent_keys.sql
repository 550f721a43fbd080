-- prune_spent_keys: delete keys that held until their job was done, and that is over or gone. $1 how many
-- at most. Returns them. Only those of earlier days: a key that somebody takes this moment names a job
-- that is not seen yet (tests/integration/test_unique.py).
WITH spent AS (
    SELECT i.key FROM headrace.idempotency i
    WHERE i.mode <> 'window' AND i.job_id < headrace.uuid_floor(now() - interval '1 day')
      AND NOT EXISTS (SELECT FROM headrace.job j WHERE j.id = i.job_id AND j.state <= 1)
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM headrace.idempotency i USING spent
WHERE i.key = spent.key AND i.job_id < headrace.uuid_floor(now() - interval '1 day')
RETURNING i.key
