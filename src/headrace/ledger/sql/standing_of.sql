-- standing_of: rows as the lane should have them, for repair. $1 ids.
-- Raw SQL may have made a job of infinity, which is no number of seconds.
SELECT j.id, j.gen, q.name AS queue, j.task, j.payload::text, j.priority, j.failures, j.crashes,
       j.max_attempts, j.tenant, j.rerun_on_crash, j.headers::text, j.xid::text AS xid,
       greatest(extract(epoch FROM bounded.run_at - now()), 0)::float8 AS delay,
       (extract(epoch FROM bounded.run_at) * 1000000)::bigint AS run_at,
       false AS young, j.state = 0 AND j.owner IS NULL AS waits
FROM headrace.job j JOIN headrace.queue q ON q.id = j.queue_id,
     LATERAL (SELECT least(j.run_at, timestamptz '9999-01-01 00:00:00+00') AS run_at) AS bounded
WHERE j.id = ANY ($1::uuid[])
