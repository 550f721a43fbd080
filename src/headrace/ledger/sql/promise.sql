-- promise: let a queue promise something else of its jobs. $1 name, $2 promise. Returns whether that
-- is new, and the longest that a living worker may be silent, after which all know it; no row where
-- there is no such queue.
WITH changed AS (
    UPDATE headrace.queue SET promise = $2
    WHERE name = $1 AND promise IS DISTINCT FROM $2
    RETURNING name
)
SELECT EXISTS (SELECT FROM changed) AS changed,
       (SELECT coalesce(max(lease), 0) FROM headrace.worker WHERE reaped_at IS NULL) AS lease
FROM headrace.queue WHERE name = $1
