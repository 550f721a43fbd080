-- outcomes: the jobs among these that are over, for those who wait for results. $1 ids.
SELECT j.id, j.state, j.result::text, j.error::text
FROM headrace.job j WHERE j.id = ANY ($1::uuid[]) AND j.state >= 2
