-- extend: which of these attempts are still the worker's own, so may go on. $1 ids, $2 gens.
SELECT j.id FROM unnest($1::uuid[], $2::int[]) AS v (id, gen)
JOIN headrace.job j ON j.id = v.id AND j.gen = v.gen AND j.state = 0
