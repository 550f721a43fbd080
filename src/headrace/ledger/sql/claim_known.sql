-- claim_known: claim jobs that a lane gave, before they start: those of a strict queue, last attempts,
-- and those whose start must be known. That they started is kept here, since a lane that loses its data
-- loses its marks (A5).
-- In the order of all batches (postgres.py). The owner is compared as in stale.sql. A row that an
-- insert keeps from starting until it is committed (take_key.sql) is left out: it may last.
-- $1 worker, $2 the worker's call number, $3 ids, $4 gens, $5 the queue from which the call took ahead
-- of free slots, or null: that travels with it as in stale.sql. Returns id, the new gen, and the
-- arguments where they may have been replaced since they went into the lane.
WITH ahead AS (
    INSERT INTO headrace.prefetch (worker, queue_id, claim_no)
    SELECT $1, q.id, $2 FROM headrace.queue q WHERE q.name = $5
    ON CONFLICT (worker, queue_id) DO UPDATE SET claim_no = excluded.claim_no
), free AS (
    SELECT j.id, j.gen
    FROM unnest($3::uuid[], $4::int[]) AS v (id, gen)
    JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0 AND num_nulls(j.owner) = 1
    ORDER BY j.id
    FOR NO KEY UPDATE OF j SKIP LOCKED
)
UPDATE headrace.job j
SET gen = j.gen + 1, owner = $1, claim_no = $2, started_at = now()
FROM free
WHERE j.id = free.id AND j.gen = free.gen
RETURNING j.id, j.gen, CASE WHEN j.headers ? 'claim' THEN j.payload::text END AS payload
