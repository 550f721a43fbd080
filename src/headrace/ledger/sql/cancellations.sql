-- cancellations: jobs that shall end and are not over; those that are over are forgotten.
-- $1 how many at most.
WITH wanted AS (
    SELECT c.job_id, c.actor, c.reason, j.id IS NOT NULL AS live
    FROM headrace.cancellation c LEFT JOIN headrace.job j ON j.id = c.job_id AND j.state IN (0, 1)
    ORDER BY c.asked_at
    LIMIT $1
), forgotten AS (
    DELETE FROM headrace.cancellation WHERE job_id IN (SELECT job_id FROM wanted WHERE NOT live)
)
SELECT job_id, actor, reason FROM wanted WHERE live
