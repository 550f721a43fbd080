-- fleet: the workers that were not taken for dead, by host and process.
SELECT id, host, pid, queues::text AS queues, busy, lease, started_at,
       extract(epoch FROM now() - beat_at)::float8 AS silent
FROM headrace.worker
WHERE reaped_at IS NULL
ORDER BY host, pid, started_at
