-- find_walk: matching jobs of any state, newest first, by a bounded walk back through the ids.
-- $1 before this id, $2 from this id on, $3 how many to walk, $4 how many to find,
-- $5 states or null, $6 queue or null, $7 task or null, $8 tenant or null, $9 text in the error or
-- null, $10 seconds since it was settled or null, $11 text that it tells or null.
-- Returns the ids found, how many were walked, the last id walked.
WITH walked AS MATERIALIZED (
    SELECT id, queue_id, state, owner, run_at, failures, task, tenant, settled_at, error, told
    FROM headrace.job WHERE id < $1 AND id >= $2
    ORDER BY id DESC
    LIMIT $3
), found AS (
    SELECT j.id FROM walked j
    WHERE ($5::text[] IS NULL
           OR CASE WHEN j.state > 0
                   THEN (ARRAY['blocked', 'completed', 'dead', 'cancelled'])[j.state]
                   WHEN j.owner IS NOT NULL THEN 'running'
                   WHEN j.run_at <= now() THEN 'available'
                   WHEN j.failures > 0 THEN 'retryable'
                   ELSE 'scheduled' END = ANY ($5))
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
