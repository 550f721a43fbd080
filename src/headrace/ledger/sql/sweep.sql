-- sweep: what was committed since the last one, and is due within the horizon (A2). Nothing is
-- skipped or read twice, however long some transaction stays open: its rows are found when it ends.
-- What its producer puts into the lane itself is left for sweep_pushed.sql. Of the others, too, a put
-- may still be under way (one with an idempotency key, or committed as its process began to put
-- again), so that a young one leaves a tombstone.
-- $1 the snapshot of the last sweep, $2 the horizon in seconds, $3 how many at most.
-- Returns one row at least: this sweep's snapshot, with a job or without.
SELECT pg_current_snapshot()::text AS snapshot, fresh.*
FROM (SELECT) AS one LEFT JOIN LATERAL (
    SELECT j.id, j.gen, q.name AS queue, j.task, j.payload::text, j.priority, j.failures, j.crashes,
           j.max_attempts, j.tenant, j.rerun_on_crash, j.headers::text, j.xid::text AS xid,
           greatest(date_part('epoch', j.run_at - now()), 0) AS delay,
           (extract(epoch FROM j.run_at) * 1000000)::bigint AS run_at,
           j.id > (SELECT headrace.uuid_floor(now() - interval '10 seconds')) AS young
    FROM (
        -- Rows of a dump carry the ids of another server, beyond all of this one; the walk has them.
        SELECT pg_snapshot_xmax($1::text::pg_snapshot), pg_snapshot_xmax(pg_current_snapshot())
        UNION ALL
        SELECT xid, xid FROM pg_snapshot_xip($1::text::pg_snapshot) AS xid
    ) AS span (first, last), LATERAL (
        -- Each range is a walk of the index by itself: with OR, or as a plain join, the planner
        -- reads the whole backlog (tests/integration/test_statements.py).
        SELECT * FROM headrace.job
        WHERE xid BETWEEN span.first AND span.last AND state = 0 AND owner IS NULL AND gen > 0
          AND NOT (pushed AND gen = 1) AND run_at <= now() + $2::float8 * interval '1 second'
        LIMIT $3
    ) AS j JOIN headrace.queue q ON q.id = j.queue_id
    LIMIT $3
) AS fresh ON true
