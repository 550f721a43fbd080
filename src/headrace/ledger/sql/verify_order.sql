-- verify_order: jobs that may run though another one of their key has the turn, and jobs that were done
-- before one that came before them. Whoever was replayed came late, and is not blamed.
-- $1 how many to walk or null, $2 how many to show.
WITH walked AS MATERIALIZED (
    SELECT j.id, j.state, j.tenant, j.queue_id, j.settled_at, j.headers -> 'order' ->> 'key' AS key,
           (j.headers -> 'order' ->> 'seq')::bigint AS seq
    FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
    WHERE j.headers ? 'order'
), done AS (
    SELECT id, settled_at, lag(id) OVER line AS before, lag(settled_at) OVER line AS done_before
    FROM walked
    WHERE state = 2 AND NOT EXISTS (SELECT FROM headrace.job_event e
                                    WHERE e.job_id = walked.id AND e.kind = 'replay')
    WINDOW line AS (PARTITION BY tenant, queue_id, key ORDER BY seq)
)
SELECT w.id::text AS subject, 'it may run, but it is the turn of ' || coalesce(k.turn::text, 'none') AS detail
FROM walked w
LEFT JOIN headrace.order_place p ON p.job_id = w.id
LEFT JOIN headrace.order_key k ON k.id = p.key_id
WHERE w.state = 0 AND k.turn IS DISTINCT FROM w.id
UNION ALL
SELECT id::text, 'it was done before ' || before || ', which came before it'
FROM done WHERE settled_at < done_before
LIMIT $2
