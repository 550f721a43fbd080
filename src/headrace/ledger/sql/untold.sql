-- untold: jobs of which the lane could not be told that they are over. $1 how many at most.
SELECT job_id FROM headrace.untold LIMIT $1
