-- release: give back claimed jobs that have not started; no attempt is used.
-- $1 worker, $2 ids, $3 gens. The owner is compared so that no index of owners serves: the ids do.
UPDATE headrace.job j
SET owner = NULL, gen = j.gen + 1, xid = pg_current_xact_id(), claim_no = NULL, started_at = NULL
FROM unnest($2::uuid[], $3::int[]) AS v (id, gen)
WHERE j.id = v.id AND j.gen = v.gen AND j.owner IS NOT DISTINCT FROM $1 AND j.state = 0
RETURNING j.id
