-- find_dead: matching dead letters, newest first, by a bounded walk of their index.
-- Parameters and answer as in find_walk.
WITH walked AS MATERIALIZED (
    SELECT letter.*
    FROM headrace.queue q, LATERAL (
        SELECT j.id, j.task, j.tenant, j.settled_at, j.error, j.told
        FROM headrace.job j
        WHERE j.queue_id = q.id AND j.state = 3 AND j.id < $1 AND j.id >= $2
        ORDER BY j.id DESC
        LIMIT $3
    ) AS letter
    WHERE ($6::text IS NULL OR q.name = $6)
    ORDER BY letter.id DESC
    LIMIT $3
), found AS (
    SELECT j.id FROM walked j
    WHERE ($5::text[] IS NULL OR 'dead' = ANY ($5))
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
