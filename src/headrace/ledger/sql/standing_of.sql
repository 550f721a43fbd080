-- standing_of: rows as the lane should have them, for repair. $1 ids.
SELECT j.id, j.gen, q.name AS queue, j.task, j.payload::text, j.priority, j.failures, j.crashes,
       j.max_attempts, j.tenant, j.rerun_on_crash, j.xid::text AS xid,
       greatest(extract(epoch FROM j.run_at - now()), 0)::float8 AS delay,
       (extract(epoch FROM j.run_at) * 1000000)::bigint AS run_at,
       false AS young, j.state = 0 AND j.owner IS NULL AS waits
FROM headrace.job j JOIN headrace.queue q ON q.id = j.queue_id
WHERE j.id = ANY ($1::uuid[])
