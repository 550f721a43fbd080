-- doctor_workers: how many workers live, how many of them are of earlier code than that of the schema
-- $1, and which queues have due jobs that nobody serves.
WITH living AS (
    SELECT queues, code FROM headrace.worker
    WHERE reaped_at IS NULL AND beat_at > now() - greatest(lease, 15) * interval '1 second'
)
SELECT (SELECT count(*) FROM living) AS living,
       (SELECT count(*) FROM living WHERE coalesce(code, 0) < $1) AS earlier,
       ARRAY(SELECT q.name FROM headrace.queue q WHERE q.paused ORDER BY q.name) AS paused,
       ARRAY(SELECT q.name FROM headrace.queue q
             WHERE NOT q.paused
               AND NOT EXISTS (SELECT FROM living WHERE living.queues ? q.name)
               AND EXISTS (SELECT FROM generate_series(1, 10) AS level (priority), LATERAL (
                       SELECT FROM headrace.job j
                       WHERE j.queue_id = q.id AND j.priority = level.priority AND j.state = 0
                         AND j.owner IS NULL AND j.run_at <= now()
                       LIMIT 1) AS due)
             ORDER BY q.name) AS unserved
