-- misfits: which of these entries a lane should not carry. The last attempt of a job is claimed in
-- the ledger, which raises its generation: its entry is right as long as it runs.
-- $1 ids, $2 gens. Returns id, gen, detail.
SELECT v.id, v.gen,
       CASE WHEN j.id IS NULL THEN 'there is no such job'
            WHEN v.gen > j.gen THEN 'the job is only at generation ' || j.gen
            WHEN j.state > 0
            THEN 'the job is ' || (ARRAY['blocked', 'completed', 'dead', 'cancelled'])[j.state]
            ELSE 'the job is at generation ' || j.gen END AS detail
FROM unnest($1::uuid[], $2::int[]) AS v (id, gen)
LEFT JOIN headrace.job j ON j.id = v.id
WHERE j.id IS NULL OR v.gen > j.gen OR j.state > 0 OR (v.gen < j.gen AND j.owner IS NULL)
