-- flows: the newest flows, with how many of their jobs are how. $1 how many, $2 before this one or null.
SELECT f.id, f.name, count(j.id) FILTER (WHERE j.state = 0) AS live,
       count(j.id) FILTER (WHERE j.state = 1) AS blocked,
       count(j.id) FILTER (WHERE j.state = 2) AS completed,
       count(j.id) FILTER (WHERE j.state = 3) AS dead,
       count(j.id) FILTER (WHERE j.state = 4) AS cancelled
FROM (SELECT * FROM headrace.flow WHERE $2::uuid IS NULL OR id < $2 ORDER BY id DESC LIMIT $1) AS f
LEFT JOIN headrace.flow_job m ON m.flow_id = f.id
LEFT JOIN headrace.job j ON j.id = m.job_id
GROUP BY f.id, f.name
ORDER BY f.id DESC
