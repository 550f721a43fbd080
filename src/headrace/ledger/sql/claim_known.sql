-- claim_known: claim jobs that a lane gave, whose last attempt this is: their start is kept here,
-- since a lane that loses its data loses its marks (A5).
-- The owner is compared as in stale.sql.
-- $1 worker, $2 the worker's call number, $3 ids, $4 gens. Returns id, the new gen.
UPDATE headrace.job j
SET gen = j.gen + 1, owner = $1, claim_no = $2, started_at = now()
FROM unnest($3::uuid[], $4::int[]) AS v (id, gen)
WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0 AND num_nulls(j.owner) = 1
RETURNING j.id, j.gen
