-- max_depth: what an operator says of how many jobs a queue may hold. $1 name, $2 how many, or null.
-- Returns whether that is new; no row where there is no such queue.
WITH changed AS (
    UPDATE headrace.queue SET max_depth = $2::int, depth_overridden = true
    WHERE name = $1 AND (max_depth IS DISTINCT FROM $2::int OR NOT depth_overridden)
    RETURNING name
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM headrace.queue WHERE name = $1
