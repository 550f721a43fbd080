-- doctor_strangers: tasks whose jobs were left three times and more for a worker that knows them, among
-- the first $1 jobs of each queue that wait. Returns task, how many, and since when the oldest waits.
SELECT j.task, count(*) AS jobs, min(headrace.uuid_time(j.id)) AS since
FROM headrace.queue q, LATERAL (
    SELECT j.id, j.task, j.snoozes, j.error FROM headrace.job j
    WHERE j.queue_id = q.id AND j.state = 0 AND j.owner IS NULL
    LIMIT $1
) AS j
WHERE j.snoozes >= 3 AND j.error ->> 'type' = 'UnknownTask'
GROUP BY j.task
ORDER BY j.task
