-- due: which of these queues have a job that waits to run now, or is on its way by a lane. A jump
-- through the index from each queue that has any to the next one asked for, so that empty queues and
-- those of others cost nothing. $1 queue ids, in order, $2 whether paused queues count. Returns name.
WITH RECURSIVE level (queue_id, priority, run_at) AS (
    (SELECT j.queue_id, j.priority, j.run_at FROM headrace.job j
     WHERE j.state = 0 AND j.owner IS NULL AND j.queue_id >= ($1::int[])[1]
     ORDER BY j.queue_id, j.priority, j.run_at, j.id
     LIMIT 1)
    UNION ALL
    SELECT beyond.*
    FROM level, LATERAL (
        SELECT width_bucket(level.queue_id, $1::int[]) AS place
    ) AS asked, LATERAL (
        -- Another level of this queue where none is due so far; else the next queue.
        SELECT level.run_at > now() AND ($1::int[])[asked.place] = level.queue_id AS goes_on
    ) AS here, LATERAL (
        SELECT j.queue_id, j.priority, j.run_at FROM headrace.job j
        WHERE j.state = 0 AND j.owner IS NULL
          AND (j.queue_id, j.priority)
              > (CASE WHEN here.goes_on THEN level.queue_id ELSE ($1::int[])[asked.place + 1] END,
                 CASE WHEN here.goes_on THEN level.priority ELSE 0 END)
        ORDER BY j.queue_id, j.priority, j.run_at, j.id
        LIMIT 1
    ) AS beyond
)
SELECT q.name FROM level JOIN headrace.queue q ON q.id = level.queue_id
WHERE level.run_at <= now() AND ($2 OR NOT q.paused)
  AND ($1::int[])[width_bucket(level.queue_id, $1::int[])] = level.queue_id
