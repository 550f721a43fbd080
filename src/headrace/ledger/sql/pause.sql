-- pause: hand out a queue's jobs or not. $1 name, $2 paused. Returns whether that is new; no row
-- where there is no such queue. Where it goes on, those that stand in line are looked at.
WITH changed AS (
    UPDATE headrace.queue SET paused = $2 WHERE name = $1 AND paused <> $2 RETURNING name
)
SELECT EXISTS (SELECT FROM changed) AS changed,
       (SELECT headrace.stir_lines(NULL, name)::text FROM changed WHERE NOT $2) AS stirred
FROM headrace.queue WHERE name = $1
