-- waiting_levels: the queues and levels that have waiting jobs which are due soon: a jump through the
-- index from each to the next, so that neither empty queues nor long backlogs cost anything.
-- $1 how soon, in seconds.
WITH RECURSIVE level (queue_id, priority, run_at) AS (
    (SELECT j.queue_id, j.priority, j.run_at FROM headrace.job j
     WHERE j.state = 0 AND j.owner IS NULL
     ORDER BY j.queue_id, j.priority, j.run_at, j.id
     LIMIT 1)
    UNION ALL
    SELECT beyond.* FROM level, LATERAL (
        SELECT j.queue_id, j.priority, j.run_at FROM headrace.job j
        WHERE j.state = 0 AND j.owner IS NULL
          AND (j.queue_id, j.priority) > (level.queue_id, level.priority)
        ORDER BY j.queue_id, j.priority, j.run_at, j.id
        LIMIT 1
    ) AS beyond
)
SELECT queue_id, priority FROM level WHERE run_at <= now() + $1::float8 * interval '1 second'
