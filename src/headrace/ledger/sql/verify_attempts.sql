-- verify_attempts: live jobs without an attempt left, and dead ones without a reason.
-- $1 how many to walk or null, $2 how many to show.
SELECT j.id::text AS subject,
       CASE WHEN j.state = 3 THEN 'it is dead without a reason'
            ELSE 'it is live after ' || j.failures || ' failures and ' || j.crashes || ' crashes of '
                 || j.max_attempts || ' attempts' END AS detail
FROM (SELECT * FROM headrace.job ORDER BY id DESC LIMIT $1) AS j
WHERE (j.state = 3 AND j.error IS NULL)
   OR (j.state = 0 AND headrace.spent(j.failures, j.crashes, j.max_attempts, j.rerun_on_crash))
LIMIT $2
