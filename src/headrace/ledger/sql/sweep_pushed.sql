-- sweep_pushed: what producers were to put into the lane and still waits (A2). Each was committed
-- between two snapshots, the later of which was taken a second ago or more.
-- $1 the earlier snapshot, $2 the later one, $3 the horizon in seconds, $4 how many at most.
SELECT j.id, j.gen, q.name AS queue, j.task, j.payload::text, j.priority, j.failures, j.crashes,
       j.max_attempts, j.tenant, j.rerun_on_crash, j.headers::text, j.xid::text AS xid,
       greatest(date_part('epoch', j.run_at - now()), 0) AS delay,
       (extract(epoch FROM j.run_at) * 1000000)::bigint AS run_at,
       j.id > (SELECT headrace.uuid_floor(now() - interval '10 seconds')) AS young
FROM (
    SELECT pg_snapshot_xmax($1::text::pg_snapshot), pg_snapshot_xmax($2::text::pg_snapshot)
    UNION ALL
    SELECT xid, xid FROM pg_snapshot_xip($1::text::pg_snapshot) AS xid
) AS span (first, last), LATERAL (
    SELECT * FROM headrace.job  -- in ranges as in sweep.sql
    WHERE xid BETWEEN span.first AND span.last AND state = 0 AND owner IS NULL AND gen > 0
      AND pushed AND gen = 1 AND pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
      AND run_at <= now() + $3::float8 * interval '1 second'
    LIMIT $4
) AS j JOIN headrace.queue q ON q.id = j.queue_id
LIMIT $4
