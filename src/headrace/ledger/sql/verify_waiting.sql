-- verify_waiting: due jobs that nobody took for a minute though a living worker serves their queue.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject, 'due since ' || j.run_at || ' in queue ' || q.name AS detail
FROM headrace.queue q, LATERAL (
    SELECT l.id, l.run_at FROM headrace.job l
    WHERE l.queue_id = q.id AND l.state = 0 AND l.owner IS NULL
      AND l.run_at < now() - interval '1 minute'
    LIMIT $1
) AS j
WHERE NOT q.paused
  AND EXISTS (SELECT FROM headrace.worker w
              WHERE w.reaped_at IS NULL AND w.queues ? q.name
                AND w.beat_at > now() - greatest(w.lease, 15) * interval '1 second')
LIMIT $2
