-- due: whether a job of these queues waits to run now, or is on its way by a lane. $1 queue ids.
SELECT EXISTS (
    SELECT 1 FROM unnest($1::int[]) AS q (id), generate_series(1, 10) AS level, LATERAL (
        SELECT FROM headrace.job j
        WHERE j.queue_id = q.id AND j.priority = level AND j.state = 0 AND j.owner IS NULL
          AND j.run_at <= now()
        LIMIT 1
    ) AS one
) AS due
