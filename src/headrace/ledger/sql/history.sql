-- history: the newest events of a job, oldest first, with the host of the worker, if that is known.
-- $1 id, $2 how many, $3 kinds or null.
WITH newest AS (
    SELECT at, gen, kind, actor, data,
           coalesce(data ->> 'worker', CASE WHEN actor LIKE 'worker:%' THEN substr(actor, 8) END) AS worker
    FROM headrace.job_event
    WHERE job_id = $1 AND ($3::text[] IS NULL OR kind = ANY ($3))
    ORDER BY gen DESC, at DESC
    LIMIT $2
)
SELECT at, gen, kind, actor, data::text, w.host || ':' || w.pid AS host
FROM newest LEFT JOIN headrace.worker w ON w.id = newest.worker::uuid
ORDER BY gen, at
