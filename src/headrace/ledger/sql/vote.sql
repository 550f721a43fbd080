-- vote: a worker cannot reach the lane. Votes count for five seconds, and must be repeated.
-- $1 worker. Returns how many living workers cannot reach it, and how many live.
WITH vote AS (
    UPDATE headrace.worker SET away_at = now() WHERE id = $1 AND reaped_at IS NULL
)
SELECT count(*) FILTER (WHERE id = $1 OR away_at > now() - interval '5 seconds') AS away,
       count(*) AS living
FROM headrace.worker WHERE reaped_at IS NULL
