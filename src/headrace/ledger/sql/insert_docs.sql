-- insert_docs: jobs given as JSON, from any transaction and for jobs with idempotency keys.
-- $1 the array of documents that headrace.insert_jobs takes. Returns place, job_id, duplicate.
SELECT place, job_id, duplicate FROM headrace.insert_jobs(CAST($1 AS jsonb))
