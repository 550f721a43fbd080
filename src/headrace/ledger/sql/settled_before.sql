-- settled_before: which of these attempts this worker has settled already (A7: a lost reply).
-- $1 worker, $2 ids, $3 gens.
SELECT j.id FROM unnest($2::uuid[], $3::int[]) AS v (id, gen)
JOIN headrace.job j ON j.id = v.id AND j.settled_gen = v.gen AND j.settled_by = $1
