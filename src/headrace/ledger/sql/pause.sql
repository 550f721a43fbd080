-- pause: hand out a queue's jobs or not. $1 name, $2 paused. Returns whether that is new; no row
-- where there is no such queue.
WITH changed AS (
    UPDATE headrace.queue SET paused = $2 WHERE name = $1 AND paused <> $2 RETURNING name
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM headrace.queue WHERE name = $1
