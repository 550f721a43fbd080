-- verify_tokens: which of these attempts may run: live, of this generation, in nobody's hands (R4).
-- $1 ids, $2 gens.
SELECT j.id, j.gen FROM unnest($1::uuid[], $2::int[]) AS v (id, gen)
JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0 AND j.owner IS NULL
