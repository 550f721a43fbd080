-- parents: the jobs that a job came after, in the order in which they were made. $1 the job.
SELECT p.id, coalesce(m.step, p.task) AS step, p.task, p.state, p.result::text, p.error::text
FROM headrace.edge e
JOIN headrace.job p ON p.id = e.parent
LEFT JOIN headrace.flow_job m ON m.job_id = p.id
WHERE e.child = $1
ORDER BY p.id
