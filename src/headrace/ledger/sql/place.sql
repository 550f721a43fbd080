-- place: the jobs that wait for a job, and what its failure means to them; its flow. $1 the job.
SELECT e.child, e.on_failure, NULL::uuid AS flow, NULL AS name
FROM headrace.edge e JOIN headrace.blocked b ON b.job_id = e.child
WHERE e.parent = $1 AND NOT e.decided
UNION ALL
SELECT NULL, NULL, f.id, f.name
FROM headrace.flow_job m JOIN headrace.flow f ON f.id = m.flow_id
WHERE m.job_id = $1
