-- settled_before: which of these attempts this worker has settled already (A7: a lost reply).
-- Once somebody has run the job again, only its history tells of a retry or a snooze.
-- $1 worker, $2 ids, $3 gens.
SELECT v.id, v.gen FROM unnest($2::uuid[], $3::int[]) AS v (id, gen)
WHERE EXISTS (SELECT FROM headrace.job j
              WHERE j.id = v.id AND j.settled_gen = v.gen AND j.settled_by = $1)
   OR EXISTS (SELECT FROM headrace.job_event e
              WHERE e.job_id = v.id AND e.gen = v.gen AND e.actor = 'worker:' || $1::uuid)
