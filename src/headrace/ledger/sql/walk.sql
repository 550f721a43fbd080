-- walk: live rows of a queue's level in their order, from a position up to the horizon.
-- $1 queue id, $2 level, $3 run_at in microseconds and $4 id after which to look, $5 the horizon in
-- seconds, $6 how many at most.
SELECT j.id, j.gen, q.name AS queue, j.task, j.payload::text, j.priority, j.failures, j.crashes,
       j.max_attempts, j.tenant, j.rerun_on_crash, j.headers::text, j.xid::text AS xid,
       greatest(date_part('epoch', j.run_at - now()), 0) AS delay,
       (extract(epoch FROM j.run_at) * 1000000)::bigint AS run_at,
       j.id > (SELECT headrace.uuid_floor(now() - interval '10 seconds')) AS young
FROM headrace.job j JOIN headrace.queue q ON q.id = j.queue_id
WHERE j.queue_id = $1 AND j.priority = $2 AND j.state = 0 AND j.owner IS NULL
  AND (j.run_at, j.id) > (timestamptz 'epoch' + $3::bigint * interval '1 microsecond', $4::uuid)
  AND j.run_at <= now() + $5::float8 * interval '1 second'
ORDER BY j.run_at, j.id
LIMIT $6
