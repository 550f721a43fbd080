-- stale: which of these attempts may not run: over, of another generation, in somebody's hands (R4).
-- The owner is compared so that the index of all that waits does not serve: the ids do, all at once,
-- between bounds that leave out the partitions of other days.
-- With it travels that what a call took from the lane ahead of free slots has not started (A5).
-- $1 ids, $2 gens; $3 worker, $4 queue and $5 the call, or nulls if nothing was taken ahead; $6 the
-- lowest id and $7 the highest.
WITH ahead AS (
    INSERT INTO headrace.prefetch (worker, queue_id, claim_no)
    SELECT $3, q.id, $5 FROM headrace.queue q WHERE q.name = $4
    ON CONFLICT (worker, queue_id) DO UPDATE SET claim_no = excluded.claim_no
)
SELECT v.id, v.gen FROM unnest($1::uuid[], $2::int[]) AS v (id, gen)
EXCEPT
SELECT j.id, j.gen FROM headrace.job j
WHERE j.id = ANY ($1) AND j.id BETWEEN $6 AND $7 AND j.state = 0 AND num_nulls(j.owner) = 1
