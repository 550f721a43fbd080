-- verify_generations: generations of jobs that ended twice, or that are ahead of their job's.
-- $1 how many events to walk or null, $2 how many to show.
WITH walked AS MATERIALIZED (
    SELECT job_id, gen, kind, actor FROM headrace.job_event ORDER BY job_id DESC, gen LIMIT $1
)
SELECT e.job_id::text AS subject,
       'generation ' || e.gen || ' ended ' || count(*) || ' times: '
       || string_agg(e.kind, ', ') AS detail
FROM walked e
WHERE e.kind IN ('retry', 'snooze', 'crash', 'dead') OR (e.kind = 'cancelled' AND e.actor LIKE 'worker:%')
GROUP BY e.job_id, e.gen
HAVING count(*) > 1
UNION ALL
SELECT e.job_id::text, 'an event of generation ' || e.gen || ', but the job is at ' || j.gen
FROM walked e JOIN headrace.job j ON j.id = e.job_id
WHERE e.gen > j.gen
LIMIT $2
