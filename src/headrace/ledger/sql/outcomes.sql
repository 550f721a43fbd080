-- outcomes: the jobs among these that are over, for those who wait for results. $1 ids.
SELECT j.id, j.task, q.name AS queue, j.state, j.priority, j.gen, j.failures, j.crashes, j.snoozes,
       j.max_attempts, j.run_at, j.settled_gen, j.started_at, j.settled_at, j.tenant, j.owner,
       j.payload::text, j.result::text, j.error::text,
       (j.told - 'log')::text AS told, now() AS now
FROM headrace.job j JOIN headrace.queue q ON q.id = j.queue_id
WHERE j.id = ANY ($1::uuid[]) AND j.state >= 2
