-- queues: every queue with its counts. $1 how far live jobs are counted, $2 name of one queue or null.
-- Stored states come from the counters; the split of the live ones from bounded walks of indexes, a
-- priority level at a time, so that a million jobs of next week hide nothing and cost nothing.
WITH stored AS (
    SELECT total.queue_id, sum(total.n) FILTER (WHERE state = 0) AS live,
           sum(total.n) FILTER (WHERE state = 1) AS blocked,
           sum(total.n) FILTER (WHERE state = 2) AS completed,
           sum(total.n) FILTER (WHERE state = 3) AS dead,
           sum(total.n) FILTER (WHERE state = 4) AS cancelled
    FROM (SELECT queue_id, state, n FROM headrace.counter
          UNION ALL SELECT queue_id, state, n FROM headrace.counter_delta) AS total
    GROUP BY total.queue_id
), running AS (
    SELECT owned.queue_id, count(*) AS n
    FROM (SELECT j.queue_id FROM headrace.job j
          WHERE j.state = 0 AND j.owner IS NOT NULL LIMIT $1::bigint) AS owned
    GROUP BY owned.queue_id
)
SELECT q.name AS queue, q.paused, coalesce(q.promise, 'standard') AS promise, q.max_depth,
       coalesce(s.live, 0)::bigint AS live, coalesce(s.blocked, 0)::bigint AS blocked,
       coalesce(s.completed, 0)::bigint AS completed, coalesce(s.dead, 0)::bigint AS dead,
       coalesce(s.cancelled, 0)::bigint AS cancelled, coalesce(r.n, 0) AS running,
       due.n AS available, due.oldest,
       ahead.scheduled, ahead.retryable
FROM headrace.queue q
LEFT JOIN stored s ON s.queue_id = q.id
LEFT JOIN running r ON r.queue_id = q.id,
LATERAL (
    SELECT least(sum(level.n), $1::bigint)::bigint AS n, min(level.oldest) AS oldest
    FROM generate_series(1, 10) AS p (priority), LATERAL (
        SELECT count(*) AS n, min(w.run_at) AS oldest
        FROM (SELECT j.run_at FROM headrace.job j
              WHERE j.queue_id = q.id AND j.priority = p.priority AND j.state = 0
                AND j.owner IS NULL AND j.run_at <= now()
              ORDER BY j.run_at, j.id LIMIT $1::bigint) AS w
    ) AS level
) AS due,
LATERAL (
    SELECT least(sum(level.scheduled), $1::bigint)::bigint AS scheduled,
           least(sum(level.retryable), $1::bigint)::bigint AS retryable
    FROM generate_series(1, 10) AS p (priority), LATERAL (
        SELECT count(*) FILTER (WHERE w.failures = 0) AS scheduled,
               count(*) FILTER (WHERE w.failures > 0) AS retryable
        FROM (SELECT j.failures FROM headrace.job j
              WHERE j.queue_id = q.id AND j.priority = p.priority AND j.state = 0
                AND j.owner IS NULL AND j.run_at > now()
              ORDER BY j.run_at, j.id LIMIT $1::bigint) AS w
    ) AS level
) AS ahead
WHERE $2::text IS NULL OR q.name = $2
ORDER BY q.name
