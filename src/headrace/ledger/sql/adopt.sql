-- adopt: the lane was switched off while a worker held jobs of it: from now on it owns them here.
-- $1 worker, $2 ids, $3 gens, $4 call numbers.
UPDATE headrace.job j SET owner = $1, claim_no = v.claim_no
FROM unnest($2::uuid[], $3::int[], $4::int[]) AS v (id, gen, claim_no)
WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0 AND coalesce(j.owner, $1) = $1  -- no index of owners serves: the ids do
RETURNING j.id, j.gen
