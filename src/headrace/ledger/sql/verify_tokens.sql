-- verify_tokens: which of these attempts may run: live, of this generation, in nobody's hands (R4).
-- The owner is compared so that the index of all that waits does not serve: the ids do.
-- $1 ids, $2 gens.
SELECT j.id, j.gen FROM unnest($1::uuid[], $2::int[]) AS v (id, gen)
JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0 AND num_nulls(j.owner) = 1
