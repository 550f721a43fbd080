-- history: the events of a job, oldest first. $1 id.
SELECT at, gen, kind, actor, data::text FROM headrace.job_event
WHERE job_id = $1
ORDER BY gen, at
