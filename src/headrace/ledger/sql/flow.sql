-- flow: the jobs of a flow, in the order in which they were put there. $1 flow.
SELECT f.name AS flow, m.job_id AS id, m.step, j.task, j.state, j.gen, j.failures, j.run_at, j.owner,
       ARRAY(SELECT e.parent FROM headrace.edge e WHERE e.child = m.job_id ORDER BY e.parent) AS after,
       now() AS now
FROM headrace.flow f
LEFT JOIN headrace.flow_job m ON m.flow_id = f.id
LEFT JOIN headrace.job j ON j.id = m.job_id
WHERE f.id = $1
ORDER BY m.job_id
