-- find_live: matching live jobs, newest first, where there are at most $3 of them: their indexes
-- are not in the order of the ids, so all are read and sorted. With more, live jobs stand dense
-- enough for find_walk. Parameters and answer as in find_walk.
WITH waiting AS (
    SELECT live.*
    FROM headrace.queue q, LATERAL (
        SELECT j.id, j.queue_id, j.owner, j.run_at, j.failures, j.task, j.tenant, j.settled_at, j.error, j.told
        FROM headrace.job j
        WHERE j.queue_id = q.id AND j.state = 0 AND j.owner IS NULL
        LIMIT $3
    ) AS live
    WHERE ($6::text IS NULL OR q.name = $6)
    LIMIT $3
), running AS (
    SELECT j.id, j.queue_id, j.owner, j.run_at, j.failures, j.task, j.tenant, j.settled_at, j.error, j.told
    FROM headrace.job j
    WHERE j.state = 0 AND j.owner IS NOT NULL
    LIMIT $3
), walked AS MATERIALIZED (
    SELECT * FROM waiting WHERE $5::text[] && ARRAY['scheduled', 'retryable', 'available']
    UNION ALL
    SELECT * FROM running WHERE 'running' = ANY ($5)
), found AS (
    SELECT j.id FROM walked j
    WHERE j.id < $1 AND j.id >= $2
      AND CASE WHEN j.owner IS NOT NULL THEN 'running'
               WHEN j.run_at <= now() THEN 'available'
               WHEN j.failures > 0 THEN 'retryable'
               ELSE 'scheduled' END = ANY ($5)
      AND ($6::text IS NULL OR j.queue_id = (SELECT q.id FROM headrace.queue q WHERE q.name = $6))
      AND ($7::text IS NULL OR j.task = $7)
      AND ($8::text IS NULL OR j.tenant = $8)
      AND ($9::text IS NULL OR strpos(lower(j.error::text), lower($9)) > 0)
      AND ($10::float8 IS NULL OR j.settled_at < now() - $10 * interval '1 second')
      AND ($11::text IS NULL OR headrace.tells(j.told, $11))
    ORDER BY j.id DESC
    LIMIT $4
)
SELECT ARRAY(SELECT id FROM found ORDER BY id DESC) AS ids,
       (SELECT count(*) FROM walked) AS walked,
       (SELECT id FROM walked ORDER BY id LIMIT 1) AS last
