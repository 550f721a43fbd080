-- told: the lane knows of these jobs. $1 ids.
DELETE FROM headrace.untold WHERE job_id = ANY ($1::uuid[])
