-- tell: what running attempts have to tell, fenced by generation (R2).
-- $1 ids, $2 gens, $3 what each tells, as headrace.told_with() takes it.
UPDATE headrace.job j SET told = headrace.told_with(j.told, v.more::jsonb)
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS v (id, gen, more)
WHERE j.id = v.id AND j.gen = v.gen AND j.state = 0
